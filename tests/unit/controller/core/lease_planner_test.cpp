// SPDX-License-Identifier: Apache-2.0
#include "controller/core/lease_planner.hpp"

#include <gmock/gmock.h>

#include <map>

namespace isthmus::controller {
namespace {

constexpr TimePoint kNow{std::chrono::seconds{1000}};

Policy policy(const char* addresses) {
  Policy p;
  p.pools.resize(1);
  p.pools[0].name = "public";
  p.pools[0].addresses = {*Ipv4Prefix::parse(addresses)};
  return p;
}

std::vector<LeaseCandidate> nodes(int count) {
  std::vector<LeaseCandidate> result;
  for (int i = 0; i < count; ++i) {
    const auto name = "gw" + std::to_string(i);
    result.push_back({.holder = {name, "m-" + name}, .use = 0});
  }
  return result;
}

struct Field {
  explicit Field(const char* addresses) : rules(policy(addresses)) { table.set_pools(rules.pools, kNow); }
  LeasePlan settle(const std::vector<LeaseCandidate>& candidates, TimePoint now = kNow) {
    auto plan = plan_leases(table, rules, candidates);
    for (const auto& [address, holder] : plan.grants) EXPECT_TRUE(table.grant(address, holder, now));
    for (const auto address : plan.withdrawals) EXPECT_TRUE(table.withdraw(address, now));
    for (const auto address : plan.from_idle) EXPECT_TRUE(table.withdraw(address, now));
    return plan;
  }
  std::size_t held(int node) { return table.held_by(nodes(node + 1).back().holder).size(); }
  Policy rules;
  LeaseTable table;
};

TEST(LeasePlanner, EachNodeGetsAFairShareOfHalfThePool) {
  Field field("203.0.113.0/28");
  field.settle(nodes(3));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(2U, field.held(i)) << i;
}

TEST(LeasePlanner, ASmallPoolStillGivesOneEach) {
  Field field("203.0.113.0/30");
  field.settle(nodes(4));
  for (int i = 0; i < 4; ++i) EXPECT_EQ(1U, field.held(i)) << i;
}

TEST(LeasePlanner, NodesThatComeAndGoLeaveTheOthersAlone) {
  Field field("203.0.113.0/28");
  field.settle(nodes(2));
  const auto first = field.table.held_by(nodes(1)[0].holder);
  EXPECT_TRUE(field.settle(nodes(3)).withdrawals.empty());
  EXPECT_TRUE(field.settle(nodes(1)).withdrawals.empty());
  EXPECT_EQ(first, field.table.held_by(nodes(1)[0].holder));
}

TEST(LeasePlanner, ANodeThatReturnsGetsItsFormerAddressesBack) {
  Field field("203.0.113.0/28");
  field.settle(nodes(2));
  const auto holder = nodes(2)[1].holder;
  const auto former = field.table.held_by(holder);
  field.table.on_goodbye(holder, {former.begin(), former.end()}, kNow);
  field.settle(nodes(2));
  EXPECT_EQ(former, field.table.held_by(holder));
}

TEST(LeasePlanner, ANodeShortOfPortsGetsMore) {
  Field field("203.0.113.0/28");
  field.settle(nodes(4));
  auto candidates = nodes(4);
  candidates[2].use = 0.9;
  field.settle(candidates);
  EXPECT_EQ(3U, field.held(2));
  EXPECT_EQ(2U, field.held(1));
}

TEST(LeasePlanner, TheRichestGivesOneAddressForANodeWithoutAny) {
  Field field("203.0.113.0/30");
  field.settle(nodes(1));
  auto busy = nodes(1);
  busy[0].use = 0.9;
  while (field.held(0) < 4) field.settle(busy);
  const auto plan = field.settle(nodes(2));
  EXPECT_EQ(1U, plan.withdrawals.size());
  EXPECT_TRUE(field.settle(nodes(2)).withdrawals.empty()) << "one is on its way already";
}

TEST(LeasePlanner, AnAddressTakenFromTheRichestDoesNotGoBackToIt) {
  Field field("203.0.113.0/30");
  auto busy = nodes(1);
  busy[0].use = 0.9;
  while (field.held(0) < 4) field.settle(busy);
  const auto taken = field.settle(nodes(2)).withdrawals.at(0);
  const auto rich = nodes(1)[0].holder;
  EXPECT_EQ(1U, field.table.on_released(rich, {taken}, field.table.revision_of(rich), kNow).size());
  EXPECT_TRUE(field.settle(nodes(2)).grants.empty());
  (void)field.table.tick(kNow + std::chrono::minutes{10});
  field.settle(nodes(2), kNow + std::chrono::minutes{10});
  EXPECT_EQ(nodes(2)[1].holder, field.table.find(taken)->holder);
}

// Two nodes with half of the pool each and more: one rose and fell, now the other rises.
struct Risen : Field {
  Risen() : Field("203.0.113.0/28") {
    settle(nodes(2));
    auto busy = nodes(2);
    busy[0].use = 0.9;
    while (held(0) < 12) settle(busy);
    candidates[0].use = 0.1;
    candidates[1].use = 0.9;
  }
  std::vector<LeaseCandidate> candidates = nodes(2);
};

TEST(LeasePlanner, ANodeThatRunsShortGetsOneFromANodeThatHadLittleUseForAWhile) {
  Risen field;
  EXPECT_TRUE(plan_leases(field.table, field.rules, field.candidates).from_idle.empty()) << "not for a while";
  field.candidates[0].idle = true;
  const auto plan = field.settle(field.candidates);
  ASSERT_EQ(1U, plan.from_idle.size());
  const auto address = plan.from_idle[0];
  EXPECT_EQ(nodes(2)[0].holder, field.table.find(address)->holder);
  EXPECT_TRUE(field.settle(field.candidates).from_idle.empty()) << "one is on its way already";
  const auto giver = nodes(2)[0].holder;
  ASSERT_EQ(1U, field.table.on_released(giver, {address}, field.table.revision_of(giver), kNow).size());
  (void)field.table.tick(kNow + std::chrono::minutes{10});
  field.settle(field.candidates, kNow + std::chrono::minutes{10});
  EXPECT_EQ(nodes(2)[1].holder, field.table.find(address)->holder);
}

TEST(LeasePlanner, ANodeWithLittleUseKeepsItsFairShareAndAllWhileNobodyRunsShort) {
  Risen field;
  field.candidates[0].idle = true;
  for (int i = 0; i < 30; ++i) {
    const auto plan = field.settle(field.candidates);
    for (const auto address : plan.from_idle) {
      const auto giver = nodes(2)[0].holder;
      (void)field.table.on_released(giver, {address}, field.table.revision_of(giver), kNow);
    }
    (void)field.table.tick(kNow + std::chrono::minutes{10});
  }
  EXPECT_EQ(4U, field.held(0)) << "a quarter of the pool";
  EXPECT_EQ(12U, field.held(1));

  Risen quiet;
  quiet.candidates[0].idle = true;
  quiet.candidates[1].use = 0.5;
  EXPECT_TRUE(quiet.settle(quiet.candidates).from_idle.empty());
}

TEST(LeasePlanner, MoreGatewaysThanAddressesTakeNothingFromAnyone) {
  Field field("203.0.113.0/31");
  field.settle(nodes(2));
  EXPECT_TRUE(field.settle(nodes(3)).withdrawals.empty());
  EXPECT_EQ(0U, field.held(2));
}

TEST(LeasePlanner, AStaticMappingsAddressIsGrantedAndNoOneElseGetsIt) {
  Field field("203.0.113.0/28");
  const Ipv4Address pinned{203, 0, 113, 9};
  field.rules.static_mappings.push_back({.protocol = Protocol::kTcp,
                                         .client6 = {*Ipv6Address::parse("2001:db8::5"), 8080},
                                         .public4 = {pinned, 80}});
  field.settle(nodes(3));
  EXPECT_EQ(LeaseState::kGranted, field.table.find(pinned)->state);
  EXPECT_EQ(6U, field.held(0) + field.held(1) + field.held(2)) << "it counts in the share of its node";
  for (int i = 0; i < 3; ++i) EXPECT_EQ(2U, field.held(i)) << i;
}

TEST(LeasePlanner, AHundredThousandAddressesOverAThousandNodesSpreadEvenly) {
  Field field("10.0.0.0/15");
  field.settle(nodes(1000));
  for (int i = 0; i < 1000; i += 37) EXPECT_EQ(65U, field.held(i));
}

}  // namespace
}  // namespace isthmus::controller
