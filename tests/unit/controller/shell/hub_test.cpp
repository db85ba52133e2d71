// SPDX-License-Identifier: Apache-2.0
#include "controller/shell/hub.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <future>

#include "common/config/from_proto.hpp"
#include "common/config/yaml.hpp"
#include "controller/store/memory_store.hpp"
#include "controller/store/schema.hpp"
#include "tests/support/policies.hpp"

namespace isthmus::controller {
namespace {

using std::chrono::seconds;

// A store whose commits wait for a verdict of the test.
class Gate final : public Store {
 public:
  [[nodiscard]] Result<std::optional<StoredValue>, StoreError> get(std::string_view key) override {
    return real.get(key);
  }
  [[nodiscard]] Result<Snapshot, StoreError> list(std::string_view prefix) override {
    return real.list(prefix);
  }
  [[nodiscard]] Result<Revision, StoreError> commit(const Write& write) override {
    if (failing.load() == StoreFailure::kCount) return real.commit(write);
    return failure(StoreError{failing.load(), "the disk is full"});
  }
  [[nodiscard]] bool is_writer() const override { return writer; }

  MemoryStore real;
  std::atomic<StoreFailure> failing = StoreFailure::kCount;
  std::atomic<bool> writer = true;
};

class Stream final : public Outbound {
 public:
  void send(v1::ControllerMessage message) override {
    const std::scoped_lock lock{lock_};
    messages_.push_back(std::move(message));
    came_.notify_all();
  }
  void end() override {}
  void cut() override {
    const std::scoped_lock lock{lock_};
    cut_ = true;
    came_.notify_all();
  }
  bool cut_within(Duration time) {
    std::unique_lock lock{lock_};
    return came_.wait_for(lock, time, [this] { return cut_; });
  }
  bool got_allocation_within(Duration time) {
    std::unique_lock lock{lock_};
    return came_.wait_for(lock, time, [this] {
      return std::ranges::any_of(messages_, [](const auto& m) { return m.has_allocation(); });
    });
  }

 private:
  std::mutex lock_;
  std::condition_variable came_;
  std::vector<v1::ControllerMessage> messages_;
  bool cut_ = false;
};

class HubTest : public testing::Test {
 protected:
  void start() {
    auto wire = parse_policy_yaml(test::kSmallPolicy);
    hub = std::make_unique<Hub>(settings, Ledger::open(store, {boot_now(), wall_now()}).value());
    hub->propose({.from = PolicyOrigin::kFile,
                  .text = {std::make_shared<const Policy>(*from_proto(*wire)),
                           std::make_shared<const v1::Policy>(*wire)},
                  .author = "test",
                  .comment = "",
                  .if_version = std::nullopt});
    hub->start([this] { lost.set_value(); });
  }
  void connect() {
    const auto session = hub->attach(stream);
    hub->post([session](ControlPlane& core, TimePoint now) {
      Hello hello;
      hello.node_id = "gw1";
      hello.incarnation = hello.boot_id = hello.machine = "one";
      hello.kind = ServiceKind::kNat64;
      core.on_hello(session, hello, now);
    });
  }
  [[nodiscard]] StoreStatus status() const {
    StoreStatus status;
    hub->read([&](const Hub::View& view) { status = view.store; });
    return status;
  }

  Settings settings{.adopt_grace = Duration{0}};
  std::shared_ptr<Gate> store = std::make_shared<Gate>();
  std::shared_ptr<Stream> stream = std::make_shared<Stream>();
  std::promise<void> lost;
  std::unique_ptr<Hub> hub;
};

TEST_F(HubTest, AGrantIsInTheStoreWhenItIsSent) {
  start();
  connect();
  ASSERT_TRUE(stream->got_allocation_within(seconds{20}));
  EXPECT_EQ(8U, store->list(kLeasePrefix).value().entries.size());
  EXPECT_EQ(1U, store->list(kNodePrefix).value().entries.size());
}

TEST_F(HubTest, WhileTheStoreCannotBeWrittenNothingLeavesAndThenItDoes) {
  start();
  store->failing = StoreFailure::kUnavailable;
  connect();
  EXPECT_FALSE(stream->got_allocation_within(std::chrono::milliseconds{500}));
  EXPECT_EQ("the disk is full", status().problem);
  EXPECT_GT(status().failures, 0U);
  store->failing = StoreFailure::kCount;
  EXPECT_TRUE(stream->got_allocation_within(seconds{20}));
  EXPECT_EQ("", status().problem);
}

TEST_F(HubTest, WhenAnotherWritesTheStoreItStopsDecidingAndSaysSo) {
  start();
  store->failing = StoreFailure::kNotWriter;
  connect();
  EXPECT_EQ(std::future_status::ready, lost.get_future().wait_for(seconds{20}));
  EXPECT_FALSE(stream->got_allocation_within(std::chrono::milliseconds{100}));
}

TEST_F(HubTest, WhoMayNoLongerBeTheWriterTellsNothingThoughNothingIsToBeWritten) {
  store->writer = false;
  start();
  connect();
  EXPECT_EQ(std::future_status::ready, lost.get_future().wait_for(seconds{20}));
  EXPECT_FALSE(stream->got_allocation_within(std::chrono::milliseconds{100}));
}

TEST_F(HubTest, WhoWaitsForAHubThatEndsIsLetGo) {
  start();
  store->failing = StoreFailure::kUnavailable;
  connect();
  EXPECT_FALSE(stream->got_allocation_within(std::chrono::milliseconds{300}));  // it is stuck in a commit
  auto waits = std::make_shared<int>();
  hub->post([](ControlPlane&, TimePoint) {}, [waits] { ADD_FAILURE() << "it is not durable"; });
  EXPECT_EQ(2, waits.use_count());
  hub->stop();
  EXPECT_EQ(1, waits.use_count());
  hub->post([](ControlPlane&, TimePoint) {}, [waits] {});
  EXPECT_EQ(1, waits.use_count());
}

TEST_F(HubTest, WhoPostsIsToldWhenItIsDurable) {
  start();
  std::promise<std::size_t> stored;
  hub->post([](ControlPlane& core, TimePoint now) { core.fence({"gw9", "nine"}, now); },
            [&] { stored.set_value(store->list("").value().entries.size()); });
  auto future = stored.get_future();
  ASSERT_EQ(std::future_status::ready, future.wait_for(seconds{20}));
  EXPECT_GT(future.get(), 0U);
}

TEST_F(HubTest, PiecesOfListsThatNoPolicyNamesGoAfterAWhile) {
  settings.unnamed_lists_wait = std::chrono::milliseconds{1};
  start();
  const auto hash = content_hash("never applied");
  ASSERT_TRUE(hub->chunks().put(hash, "never applied", boot_now()));
  const auto deadline = boot_now() + seconds{20};
  while (hub->chunks().find(hash) != nullptr && boot_now() < deadline) std::this_thread::yield();
  EXPECT_EQ(hub->chunks().find(hash), nullptr);
}

TEST_F(HubTest, AStreamThatIsOfNoServiceIsCutAfterAWhileAndAnotherIsNot) {
  settings.hello_within = std::chrono::milliseconds{300};
  start();
  connect();
  const auto stranger = std::make_shared<Stream>();
  (void)hub->attach(stranger);
  EXPECT_TRUE(stranger->cut_within(seconds{20}));
  EXPECT_FALSE(stream->cut_within(seconds{2}));
}

}  // namespace
}  // namespace isthmus::controller
