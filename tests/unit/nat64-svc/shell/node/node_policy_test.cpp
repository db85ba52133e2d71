// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/node/node_policy.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/built_view.hpp"

namespace isthmus::nat64 {
namespace {

using test::BuiltView;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr int kWan = 2;
constexpr int kPair = 9;

Ipv4Prefix p4(const char* text) {
  return *Ipv4Prefix::parse(text);
}

Interface up(int index, Ipv4Address address) {
  Interface interface;
  interface.index = index;
  interface.mtu = 1500;
  interface.up = true;
  interface.addresses4 = {address};
  return interface;
}

Policy mixed() {
  Policy policy;
  policy.translation_prefixes.push_back(
      {"well-known", *Ipv6Prefix::parse("64:ff9b::/96"), Assignment::kShared, {}, {}, false});
  Pool leased;
  leased.name = "public";
  leased.addresses = {p4("203.0.113.0/30")};
  Pool local;
  local.name = "node";
  local.kind = PoolKind::kNodeLocal;
  local.addresses = {p4("169.254.64.0/22")};
  policy.pools = {leased, local};
  return policy;
}

TEST(NodePolicy, EachModeSeesItsOwnPools) {
  const auto node = policy_for(PoolKind::kNodeLocal, mixed());
  ASSERT_EQ(node.pools.size(), 1U);
  EXPECT_EQ(node.pools[0].name, "node");
  const auto gateway = policy_for(PoolKind::kLeased, mixed());
  ASSERT_EQ(gateway.pools.size(), 1U);
  EXPECT_EQ(gateway.pools[0].name, "public");
}

TEST(NodePolicy, EachModeUsesTheAddressesOfItsOwnPools) {
  Allocation allocation;
  for (const auto* pool : {"public", "node", "unknown"}) {
    LeasedAddress lease;
    lease.pool = pool;
    allocation.addresses.push_back(lease);
  }
  EXPECT_TRUE(allocation_for(PoolKind::kNodeLocal, mixed(), allocation).addresses.empty());
  // A pool that the policy does not have stays, to be refused with its name.
  const auto gateway = allocation_for(PoolKind::kLeased, mixed(), allocation);
  ASSERT_EQ(gateway.addresses.size(), 2U);
  EXPECT_EQ(gateway.addresses[0].pool, "public");
  EXPECT_EQ(gateway.addresses[1].pool, "unknown");
}

TEST(NodePolicy, NodeModeAlwaysClampsTheMss) {
  EXPECT_TRUE(policy_for(PoolKind::kNodeLocal, mixed()).nat64.mss_clamp);
  EXPECT_FALSE(policy_for(PoolKind::kLeased, mixed()).nat64.mss_clamp);
}

TEST(NodePolicy, OurErrorsComeFromThePoolSoThatReversePathFiltersAcceptThem) {
  RuntimeOptions options;
  set_own_addresses(options, policy_for(PoolKind::kNodeLocal, mixed()));
  EXPECT_EQ(options.own4, *Ipv4Address::parse("169.254.64.1"));
  EXPECT_EQ(options.own6, *Ipv6Address::parse("64:ff9b::169.254.64.1"));
}

class PoolConflict : public ::testing::Test {
 protected:
  PoolConflict() {
    view.add(p4("0.0.0.0/0"), {RouteKind::kUnicast, 0, kWan, IpAddress{Ipv4Address{192, 0, 2, 1}}});
    view.add(up(kWan, Ipv4Address{192, 0, 2, 9}));
  }
  [[nodiscard]] std::string conflict() const { return pool_conflict(view, {p4("169.254.64.0/22")}, kPair); }
  BuiltView view;
};

TEST_F(PoolConflict, ADefaultRouteIsNone) {
  EXPECT_THAT(conflict(), IsEmpty());
}

TEST_F(PoolConflict, OurOwnRoutesAreNone) {
  view.add(p4("169.254.64.0/22"), {RouteKind::kUnicast, 0, kPair, std::nullopt});
  view.add(p4("169.254.64.0/23"), {RouteKind::kUnreachable, 0, 0, std::nullopt});
  EXPECT_THAT(conflict(), IsEmpty());
}

TEST_F(PoolConflict, TheLinkLocalRangeOnALinkIsNone) {
  view.add(p4("169.254.0.0/16"), {RouteKind::kUnicast, 1000, kWan, std::nullopt});
  EXPECT_THAT(conflict(), IsEmpty());
}

TEST_F(PoolConflict, ARouteInsideOrAroundThePoolIsRefusedWithItsRemedy) {
  view.add(p4("169.254.65.0/24"), {RouteKind::kUnicast, 0, kWan, std::nullopt});
  EXPECT_THAT(conflict(), HasSubstr("169.254.65.0/24"));
  BuiltView around;
  around.add(p4("169.0.0.0/8"), {RouteKind::kUnicast, 0, kWan, std::nullopt});
  EXPECT_THAT(pool_conflict(around, {p4("169.254.64.0/22")}, kPair), HasSubstr("another private range"));
}

TEST_F(PoolConflict, AnAddressOfTheNodeInsideThePoolIsRefused) {
  view.add(up(4, Ipv4Address{169, 254, 66, 1}));
  EXPECT_THAT(conflict(), HasSubstr("169.254.66.1"));
}

}  // namespace
}  // namespace isthmus::nat64
