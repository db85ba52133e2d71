// SPDX-License-Identifier: Apache-2.0
#include "controller/store/ledger.hpp"

#include <gtest/gtest.h>

#include "common/config/domain_lists.hpp"
#include "controller/store/memory_store.hpp"
#include "controller/store/schema.hpp"

namespace isthmus::controller {
namespace {

using std::chrono::seconds;

const Ipv4Address kFirst{0xCB007101};

// A store that may be told to fail.
class Failing final : public Store {
 public:
  [[nodiscard]] Result<std::optional<StoredValue>, StoreError> get(std::string_view key) override {
    return real.get(key);
  }
  [[nodiscard]] Result<Snapshot, StoreError> list(std::string_view prefix) override {
    return real.list(prefix);
  }
  [[nodiscard]] Result<Revision, StoreError> commit(const Write& write) override {
    if (failures == 0) return real.commit(write);
    --failures;
    return failure(StoreError{StoreFailure::kUnavailable, "the disk is full"});
  }
  MemoryStore real;
  int failures = 0;
};

std::shared_ptr<const Policy> policy(std::size_t addresses, OnExpiry on_expiry = OnExpiry::kHold) {
  auto p = std::make_shared<Policy>();
  p->pools.resize(1);
  p->pools[0].name = "public";
  for (std::size_t i = 0; i < addresses; ++i)
    p->pools[0].addresses.emplace_back(Ipv4Address{kFirst.value() + static_cast<std::uint32_t>(i)}, 32);
  p->pools[0].lease = {.on_expiry = on_expiry, .term = seconds{60}, .quarantine = seconds{240}};
  return p;
}

Hello hello(const std::string& node, std::vector<Ipv4Address> held = {}) {
  Hello h;
  h.node_id = node;
  h.machine = "machine-of-" + node;
  h.boot_id = "boot";
  h.incarnation = "one";
  h.kind = ServiceKind::kNat64;
  h.leases_held = std::move(held);
  return h;
}

class LedgerTest : public testing::Test {
 protected:
  LedgerTest() { start(); }

  // A new process on the same store, `after` the last moment.
  void start(Duration after = {}) {
    now.boot += after;
    now.wall += std::chrono::duration_cast<std::chrono::milliseconds>(after);
    ledger = Ledger::open(store, now).value();
    plane = std::make_unique<ControlPlane>(Settings{.adopt_grace = {}}, ledger->take_memory(), now.boot);
    plane->set_policy(policy(addresses, on_expiry), now.boot);
    settle();
  }
  void pass(Duration time) {
    now.boot += time;
    now.wall += std::chrono::duration_cast<std::chrono::milliseconds>(time);
    settle();
  }
  Outcome settle() {
    plane->settle(now.boot);
    auto outcome = plane->take();
    ledger->record(*plane, outcome, now);
    return outcome;
  }
  void connect(const std::string& node, std::vector<Ipv4Address> held = {}) {
    plane->on_hello(++session, hello(node, std::move(held)), now.boot);
    settle();
  }
  [[nodiscard]] const Lease& lease(Ipv4Address address) const { return *plane->leases().find(address); }

  std::shared_ptr<Failing> store = std::make_shared<Failing>();
  std::size_t addresses = 2;
  OnExpiry on_expiry = OnExpiry::kHold;
  Clocks now{TimePoint{seconds{1000}}, WallTime{std::chrono::milliseconds{1'700'000'000'000}}};
  std::unique_ptr<Ledger> ledger;
  std::unique_ptr<ControlPlane> plane;
  SessionId session = kNoSession;
};

TEST_F(LedgerTest, LeasesSurviveARestartAndNobodyElseGetsThem) {
  connect("gw1");
  ASSERT_EQ(LeaseState::kGranted, lease(kFirst).state);
  ASSERT_TRUE(ledger->commit());
  start(seconds{30});
  EXPECT_FALSE(plane->settling());
  EXPECT_EQ(LeaseState::kGranted, lease(kFirst).state);
  EXPECT_EQ("gw1", lease(kFirst).holder.node_id);
  connect("gw2");
  EXPECT_EQ("gw1", lease(kFirst).holder.node_id);
}

TEST_F(LedgerTest, WhatWasNotCommittedDidNotHappen) {
  connect("gw1");
  start(seconds{1});
  EXPECT_EQ(LeaseState::kFree, lease(kFirst).state);
}

TEST_F(LedgerTest, AnAddressThatNobodyEverHeldHasNoRecord) {
  addresses = 300;
  start();
  connect("gw1");
  ASSERT_TRUE(ledger->commit());  // in several writes
  const auto held = plane->leases().held_by({"gw1", "machine-of-gw1"}).size();
  EXPECT_EQ(150U, held);
  EXPECT_EQ(held, store->list(kLeasePrefix).value().entries.size());
}

TEST_F(LedgerTest, AFailedCommitLosesNothing) {
  addresses = 300;
  start();
  connect("gw1");
  store->failures = 1;
  EXPECT_EQ(StoreFailure::kUnavailable, ledger->commit().error().kind);
  EXPECT_TRUE(ledger->pending());
  ASSERT_TRUE(ledger->commit());
  EXPECT_FALSE(ledger->pending());
  EXPECT_EQ(150U, store->list(kLeasePrefix).value().entries.size());
}

TEST_F(LedgerTest, TheEpochRisesWithEveryStartAlsoWhenTheClockWentBack) {
  const auto first = plane->epoch();
  ASSERT_TRUE(ledger->commit());
  now.wall -= std::chrono::hours{24 * 365};
  start();
  EXPECT_GT(plane->epoch(), first);
}

TEST_F(LedgerTest, TheQuarantineGoesOnWhereItWas) {
  connect("gw1");
  plane->fence({"gw1", "machine-of-gw1"}, now.boot);
  settle();
  ASSERT_EQ(LeaseState::kQuarantined, lease(kFirst).state);
  ASSERT_TRUE(ledger->commit());
  start(seconds{100});
  EXPECT_EQ(LeaseState::kQuarantined, lease(kFirst).state);
  pass(seconds{139});
  EXPECT_EQ(LeaseState::kQuarantined, lease(kFirst).state);
  pass(seconds{2});
  EXPECT_EQ(LeaseState::kFree, lease(kFirst).state);
}

TEST_F(LedgerTest, AStopLeaseRunsForItsTermFromTheRestartBecauseRenewalsAreNotStored) {
  on_expiry = OnExpiry::kStop;
  start();
  connect("gw1");
  ASSERT_TRUE(ledger->commit());
  start(seconds{59});
  pass(seconds{60});
  EXPECT_EQ(LeaseState::kGranted, lease(kFirst).state);
  pass(seconds{1});
  EXPECT_EQ(LeaseState::kQuarantined, lease(kFirst).state);
}

TEST_F(LedgerTest, TheHistorySaysWhoHeldAnAddressFromWhenToWhen) {
  addresses = 1;
  start();
  const auto begin = now.wall.time_since_epoch().count();
  connect("gw1");
  pass(seconds{50});
  plane->fence({"gw1", "machine-of-gw1"}, now.boot);
  settle();
  pass(seconds{240});
  connect("gw2");
  ASSERT_TRUE(ledger->commit());
  const auto history = lease_history(*store, kFirst).value();
  ASSERT_EQ(2U, history.size());
  EXPECT_EQ("gw1", history[0].holder().node_id());
  EXPECT_EQ(begin, history[0].from_ms());
  EXPECT_EQ(begin + 50'000, history[0].to_ms());
  EXPECT_EQ("gw2", history[1].holder().node_id());
  EXPECT_EQ(0, history[1].to_ms());
}

TEST_F(LedgerTest, ATenureGoesOnOverARestart) {
  connect("gw1");
  ASSERT_TRUE(ledger->commit());
  start(seconds{10});
  connect("gw1", {kFirst});
  ASSERT_TRUE(ledger->commit());
  const auto history = lease_history(*store, kFirst).value();
  ASSERT_EQ(1U, history.size());
  EXPECT_EQ(0, history[0].to_ms());
}

TEST_F(LedgerTest, OldTenuresArePrunedRunningOnesAreNot) {
  addresses = 1;
  start();
  connect("gw1");
  plane->fence({"gw1", "machine-of-gw1"}, now.boot);
  settle();
  pass(seconds{240});
  connect("gw2");
  ASSERT_TRUE(ledger->commit());
  EXPECT_FALSE(ledger->prune_history(now.wall + std::chrono::hours{1}).value());
  const auto history = lease_history(*store, kFirst).value();
  ASSERT_EQ(1U, history.size());
  EXPECT_EQ("gw2", history[0].holder().node_id());
}

TEST_F(LedgerTest, ADamagedRecordIsRefusedWithItsKey) {
  ASSERT_TRUE(store->commit({.compares = {}, .puts = {{"leases/203.0.113.1", "\xff\xff"}}, .deletes = {}}));
  const auto opened = Ledger::open(store, now);
  ASSERT_FALSE(opened);
  EXPECT_EQ(StoreFailure::kUnusable, opened.error().kind);
  EXPECT_NE(std::string::npos, opened.error().message.find("leases/203.0.113.1"));
}

TEST_F(LedgerTest, ARecordWithBrokenTextDoesNotKeepTheControllerFromStarting) {
  // As an older controller wrote it: a comment that was cut within a character.
  v1::DrainRecord drain;
  drain.set_node_id("gw1");
  drain.set_stage("accepting");
  drain.set_author("bob\xff");
  drain.set_comment("for 5 \xe2\x82");
  v1::PolicyRecord old;
  old.set_number(1);
  old.set_parts(1);
  old.set_comment("\xc3");
  ASSERT_TRUE(store->commit(
      {.compares = {},
       .puts = {{drain_key("gw1"), drain.SerializeAsString()}, {policy_key(1, 0), old.SerializeAsString()}},
       .deletes = {}}));
  auto opened = Ledger::open(store, now);
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_EQ("\uFFFD", (*opened)->take_policies().at(0).comment);
  const auto memory = (*opened)->take_memory();
  ASSERT_EQ(1U, memory.drains.size());
  EXPECT_EQ("bob\uFFFD", memory.drains[0].author);
}

TEST_F(LedgerTest, HowFarTheRolloutCameSurvivesARestart) {
  const RolloutMarks marks{.done = 3, .nat64 = 5, .dns64 = 4};
  ledger->record_marks(marks);
  ASSERT_TRUE(ledger->commit());
  start();
  EXPECT_EQ(marks, ledger->marks());
}

TEST_F(LedgerTest, AnOlderControllersMarkIsOfAllServices) {
  v1::RolledOut old;
  old.set_number(3);
  ASSERT_TRUE(store->commit(
      {.compares = {}, .puts = {{std::string{kRolledOutKey}, old.SerializeAsString()}}, .deletes = {}}));
  start();
  EXPECT_EQ((RolloutMarks{.done = 3, .nat64 = 3, .dns64 = 3}), ledger->marks());
}

// --- after a restore ---

TEST_F(LedgerTest, PiecesOfListsAreStoredOnceAndComeBack) {
  const auto chunk = cut_list("a.example", "").value().front();
  ledger->record_chunk(chunk);
  ASSERT_TRUE(ledger->commit());
  ledger->record_chunk(chunk);
  EXPECT_FALSE(ledger->pending());
  start();
  const auto chunks = ledger->take_chunks();
  ASSERT_EQ(1U, chunks.size());
  EXPECT_EQ(chunk.hash, chunks.front().hash);
  EXPECT_EQ(*chunk.data, *chunks.front().data);
  ledger->forget_chunk(chunk.hash);
  ASSERT_TRUE(ledger->commit());
  start();
  EXPECT_TRUE(ledger->take_chunks().empty());
}

class RestoredStore : public LedgerTest {
 protected:
  // gw1 holds the first address when the backup is made; afterwards gw2 got it.
  RestoredStore() {
    connect("gw1");
    connect("gw2");
    EXPECT_TRUE(ledger->commit());
    auto meta = open_schema(*store).value();
    meta.set_settling(true);
    EXPECT_TRUE(store->commit(
        {.compares = {}, .puts = {{std::string(kMetaKey), meta.SerializeAsString()}}, .deletes = {}}));
    start(seconds{100});
  }
};

TEST_F(RestoredStore, NothingIsGrantedUntilEveryKnownNodeHasTold) {
  EXPECT_TRUE(plane->settling());
  connect("gw3");
  pass(std::chrono::hours{1});
  EXPECT_TRUE(plane->settling());
  connect("gw1", {kFirst});
  EXPECT_TRUE(plane->settling());
  EXPECT_EQ(1U, plane->awaited().size());
  connect("gw2");
  EXPECT_FALSE(plane->settling());
}

TEST_F(RestoredStore, AFencedNodeIsNotWaitedFor) {
  connect("gw1", {kFirst});
  plane->fence({"gw2", "machine-of-gw2"}, now.boot);
  settle();
  EXPECT_FALSE(plane->settling());
}

TEST_F(RestoredStore, WhoSaysThatItHoldsAnAddressHasIt) {
  connect("gw2", {kFirst});
  EXPECT_EQ("gw2", lease(kFirst).holder.node_id);
  EXPECT_EQ(0U, plane->lease_conflicts());
  connect("gw1");
  EXPECT_EQ("gw2", lease(kFirst).holder.node_id);
}

TEST_F(RestoredStore, ANodeThatNoLongerHoldsAnAddressIsNotGivenItBack) {
  connect("gw1");
  EXPECT_EQ(LeaseState::kQuarantined, lease(kFirst).state);
  connect("gw2", {kFirst});  // it was released, and granted to another, after the backup
  EXPECT_EQ("gw2", lease(kFirst).holder.node_id);
  EXPECT_EQ(LeaseState::kGranted, lease(kFirst).state);
}

TEST_F(RestoredStore, ThatItSettledIsRemembered) {
  connect("gw1", {kFirst});
  connect("gw2");
  ASSERT_TRUE(ledger->commit());
  start(seconds{1});
  EXPECT_FALSE(plane->settling());
}

}  // namespace
}  // namespace isthmus::controller
