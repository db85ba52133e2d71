// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/mailbox.hpp"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace isthmus::nat64 {
namespace {

TEST(Mailbox, EachQuestionIsAnsweredOnceByTheWorker) {
  Mailbox box;
  std::atomic<bool> stop{false};
  std::thread worker([&] {
    while (!stop.load()) box.answer({});
  });
  const auto worker_id = worker.get_id();
  std::atomic<int> answered{0};
  std::vector<std::thread> askers;
  for (int i = 0; i < 4; ++i) {
    askers.emplace_back([&] {
      for (int n = 0; n < 50; ++n) {
        bool on_worker = false;
        EXPECT_TRUE(box.ask([&](TimePoint) { on_worker = std::this_thread::get_id() == worker_id; }, [] {},
                            std::chrono::minutes{1}));
        EXPECT_TRUE(on_worker);
        ++answered;
      }
    });
  }
  for (auto& asker : askers) asker.join();
  stop.store(true);
  worker.join();
  EXPECT_EQ(answered.load(), 200);
}

TEST(Mailbox, AQuestionThatNobodyAnswersIsTakenBack) {
  Mailbox box;
  bool ran = false;
  bool woken = false;
  EXPECT_FALSE(box.ask([&](TimePoint) { ran = true; }, [&] { woken = true; }, std::chrono::milliseconds{1}));
  box.answer({});
  EXPECT_FALSE(ran);
  EXPECT_TRUE(woken);
}

}  // namespace
}  // namespace isthmus::nat64
