// SPDX-License-Identifier: Apache-2.0
// A controller that begins in the midst of a rollout.
#include "controller/shell/policy_desk.hpp"

#include <gtest/gtest.h>

#include "common/config/from_proto.hpp"
#include "common/config/yaml.hpp"
#include "tests/support/policies.hpp"

namespace isthmus::controller {
namespace {

using std::chrono::seconds;

const Ipv4Address kOld{203, 0, 113, 3};
const Ipv4Address kNew{198, 51, 100, 1};
const Holder kHolder{"gw1", "machine"};

class PolicyDeskTest : public testing::Test {
 protected:
  static PolicyEdit edit(std::uint64_t number, v1::Policy wire) {
    auto policy = from_proto(wire);
    EXPECT_TRUE(policy.has_value());
    return {.number = number,
            .time = {},
            .author = "test",
            .comment = "",
            .text = {std::make_shared<const Policy>(std::move(*policy)),
                     std::make_shared<const v1::Policy>(std::move(wire))}};
  }
  // 1: the small policy; 2: another pool instead and another view; 3: one more exclusion and the same pools.
  static std::vector<PolicyEdit> edits(std::size_t count) {
    v1::Policy wire = *parse_policy_yaml(test::kSmallPolicy);
    std::vector<PolicyEdit> out{edit(1, wire)};
    wire.mutable_pools(0)->clear_addresses();
    wire.mutable_pools(0)->add_addresses("198.51.100.0/28");
    wire.mutable_dns64()->mutable_views(0)->set_rebinding_protection(true);
    out.push_back(edit(2, wire));
    wire.mutable_nat64()->set_hairpinning(false);
    out.push_back(edit(3, wire));
    out.resize(std::min(out.size(), count));
    return out;
  }
  static Lease held(Ipv4Address address) {
    Lease lease;
    lease.address = address;
    lease.pool = "public";
    lease.state = LeaseState::kGranted;
    lease.holder = kHolder;
    return lease;
  }
  void restore(std::size_t versions, RolloutMarks marks) {
    Memory memory{.epoch = 7, .settling = false, .leases = {held(kOld), held(kNew)}, .nodes = {}};
    memory.nodes.push_back({kHolder, KnownNode{"boot", "first", now}});
    core = std::make_unique<ControlPlane>(Settings{}, std::move(memory), now);
    const auto restored = desk.restore(*core, edits(versions), marks, now);
    ASSERT_TRUE(restored.has_value()) << restored.error();
    core->settle(now);
  }
  [[nodiscard]] LeaseState state(Ipv4Address address) const { return core->leases().find(address)->state; }
  [[nodiscard]] std::string pool_wanted(ServiceKind kind) const {
    return core->rollout().wanted({kind, "one"})->text.wire->pools(0).addresses(0);
  }

  TimePoint now{seconds{1000}};
  std::unique_ptr<ControlPlane> core;
  PolicyDesk desk{PolicyOrigin::kStore, "the store", false};
};

TEST_F(PolicyDeskTest, AnAddressOfAPoolThatNodesRunAlreadyStaysGrantedThoughTheRolloutIsNotOver) {
  restore(2, {.done = 1, .nat64 = 2, .dns64 = 1});
  EXPECT_EQ(RolloutPhase::kDns64, core->rollout().phase());
  EXPECT_EQ(LeaseState::kGranted, state(kNew));
  EXPECT_EQ(LeaseState::kWithdrawing, state(kOld));
  EXPECT_EQ("198.51.100.0/28", pool_wanted(ServiceKind::kNat64))
      << "nodes are not sent back to the old policy";
  EXPECT_EQ("203.0.113.0/28", pool_wanted(ServiceKind::kDns64));
}

TEST_F(PolicyDeskTest, WhatNodesHaveNotReachedBeginsAgain) {
  restore(2, {.done = 1, .nat64 = 1, .dns64 = 1});
  EXPECT_EQ(RolloutPhase::kNat64, core->rollout().phase());
  EXPECT_EQ(LeaseState::kWithdrawing, state(kNew));
  EXPECT_EQ(LeaseState::kGranted, state(kOld));
  EXPECT_EQ("203.0.113.0/28", pool_wanted(ServiceKind::kNat64));
}

TEST_F(PolicyDeskTest, PoolsAreThoseThatNodesReachedAlsoWhenANewerVersionIsOnItsWay) {
  restore(3, {.done = 1, .nat64 = 2, .dns64 = 1});
  EXPECT_EQ(RolloutPhase::kNat64, core->rollout().phase());
  EXPECT_EQ(LeaseState::kGranted, state(kNew));
  EXPECT_EQ("198.51.100.0/28", pool_wanted(ServiceKind::kNat64));
  EXPECT_EQ(3U, desk.desired().newest()->number);
}

// Of DNS64 services the store knows nothing; the canary may have refused what is on its way.
TEST_F(PolicyDeskTest, WavesDoNotGoPastServicesThatAreNotBackYet) {
  core = std::make_unique<ControlPlane>(
      Settings{}, Memory{.epoch = 7, .settling = false, .leases = {}, .nodes = {}}, now);
  ASSERT_TRUE(desk.restore(*core, edits(2), {.done = 1, .nat64 = 2, .dns64 = 1}, now));
  core->settle(now + Settings{}.adopt_grace - seconds{1});
  EXPECT_EQ(RolloutPhase::kDns64, core->rollout().phase());
  for (SessionId session = 1; session <= 2; ++session) {
    Hello hello;
    hello.node_id = "dns" + std::to_string(session);
    hello.incarnation = hello.boot_id = "one";
    core->on_hello(session, hello, now + Settings{}.adopt_grace - seconds{1});
  }
  core->settle(now + Settings{}.adopt_grace);
  EXPECT_EQ(RolloutPhase::kDns64, core->rollout().phase());
  EXPECT_EQ(1U, core->rollout().waves()->admitted_count()) << "the canary, once more";
}

TEST_F(PolicyDeskTest, AVersionThatAllRunIsJustThere) {
  restore(2, {.done = 2, .nat64 = 2, .dns64 = 2});
  EXPECT_EQ(RolloutPhase::kDone, core->rollout().phase());
  EXPECT_EQ(LeaseState::kGranted, state(kNew));
}

// Version 1 allowed a day, and services may have stopped to run it a moment before.
TEST_F(PolicyDeskTest, AnswersOfVersionsBeforeTheOneThatAllRunAreWaitedFor) {
  v1::Policy wire = *parse_policy_yaml(test::kSmallPolicy);
  std::vector<PolicyEdit> kept{edit(1, wire)};
  wire.mutable_dns64()->mutable_limits()->set_max_ttl_seconds(60);
  kept.push_back(edit(2, wire));
  core = std::make_unique<ControlPlane>(
      Settings{}, Memory{.epoch = 7, .settling = false, .leases = {}, .nodes = {}}, now);
  ASSERT_TRUE(desk.restore(*core, kept, {.done = 2, .nat64 = 2, .dns64 = 2}, now));
  wire.mutable_translation_prefixes(0)->set_prefix("2001:db8:64::/96");
  Proposal proposal;
  proposal.from = PolicyOrigin::kStore;
  proposal.text = edit(3, wire).text;
  ASSERT_TRUE(desk.propose(*core, proposal, {}, now));
  for (int i = 0; i < 5; ++i) core->settle(now += Settings{}.adopt_grace);
  ASSERT_EQ(RolloutPhase::kAnswers, core->rollout().phase());
  EXPECT_EQ(TimePoint{seconds{1000}} + std::chrono::hours{24}, core->rollout().answers_until());
}

// 2 allows a week, and the canary may run it. 3 was overtaken before anybody did; its prefix and the one of 4
// cannot be translated side by side, so the way over both cannot be gone again.
TEST_F(PolicyDeskTest, AnswersOfVersionsThatSomeMayRunAreWaitedForThoughTheyAreNotBegunAgain) {
  v1::Policy wire = *parse_policy_yaml(test::kSmallPolicy);
  std::vector<PolicyEdit> kept{edit(1, wire)};
  wire.mutable_dns64()->mutable_limits()->set_max_ttl_seconds(604800);
  kept.push_back(edit(2, wire));
  wire.mutable_translation_prefixes(0)->set_prefix("2001:db8:64::/64");
  kept.push_back(edit(3, wire));
  wire.mutable_dns64()->mutable_limits()->set_max_ttl_seconds(60);
  wire.mutable_translation_prefixes(0)->set_prefix("2001:db8:64::/96");
  kept.push_back(edit(4, wire));
  core = std::make_unique<ControlPlane>(
      Settings{}, Memory{.epoch = 7, .settling = false, .leases = {}, .nodes = {}}, now);
  ASSERT_TRUE(desk.restore(*core, kept, {.done = 1, .nat64 = 4, .dns64 = 1}, now));
  for (int i = 0; i < 5; ++i) core->settle(now += Settings{}.adopt_grace);
  ASSERT_EQ(RolloutPhase::kAnswers, core->rollout().phase());
  EXPECT_GE(core->rollout().answers_until(), TimePoint{seconds{1000 + 604800}});
}

TEST_F(PolicyDeskTest, WhatDnsServicesReachedTooIsNotTakenBackFromThem) {
  restore(3, {.done = 1, .nat64 = 2, .dns64 = 2});
  EXPECT_EQ("198.51.100.0/28", pool_wanted(ServiceKind::kDns64));
}

}  // namespace
}  // namespace isthmus::controller
