// SPDX-License-Identifier: Apache-2.0
#include "common/base/signals.hpp"

#include <gtest/gtest.h>
#include <signal.h>

#include <thread>

#include "common/base/startup_error.hpp"

namespace isthmus {
namespace {

TEST(StopSignals, ASignalIsReadOnce) {
  StopSignals signals;
  EXPECT_EQ(signals.wait(std::chrono::milliseconds{0}), std::nullopt);
  ASSERT_EQ(kill(getpid(), SIGTERM), 0);
  EXPECT_EQ(signals.wait(), SIGTERM);
  EXPECT_EQ(signals.wait(std::chrono::milliseconds{0}), std::nullopt);
}

TEST(StopSignals, ThreadsStartedLaterDoNotDieOfIt) {
  StopSignals signals;
  std::thread other{[] { raise(SIGINT); }};  // to the thread itself: must be blocked there as well
  other.join();
  EXPECT_EQ(signals.wait(std::chrono::milliseconds{0}),
            std::nullopt);  // it was the thread's own and died with it
}

TEST(StartupError, IsOneLineAndAFailureCode) {
  testing::internal::CaptureStderr();
  EXPECT_NE(startup_error("nat64-svc", "no interface eth9\nuse --outside"), 0);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "nat64-svc: no interface eth9; use --outside\n");
}

}  // namespace
}  // namespace isthmus
