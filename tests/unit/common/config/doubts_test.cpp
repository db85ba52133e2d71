// SPDX-License-Identifier: Apache-2.0
#include "common/config/doubts.hpp"

#include <gtest/gtest.h>

namespace isthmus {
namespace {

Policy with(const Resolver& resolver) {
  Policy policy;
  policy.dns64.resolvers.resize(1);
  policy.dns64.resolvers[0].name = "other";
  policy.dns64.resolvers.push_back(resolver);
  return policy;
}

Resolver private_zone() {
  Resolver resolver;
  resolver.name = "main";
  resolver.zones.resize(1);
  resolver.zones[0].name = "cluster.local.";
  resolver.zones[0].kind = ZoneKind::kStub;
  return resolver;
}

TEST(Doubts, APrivateZoneThatIsValidatedIsNamed) {
  const auto doubts = doubts_about(with(private_zone()));
  ASSERT_EQ(doubts.size(), 1U);
  EXPECT_EQ(doubts[0].path, "dns64.resolvers[1].zones[0]");
  EXPECT_NE(doubts[0].message.find("negative_trust_anchors"), std::string::npos);
}

TEST(Doubts, ThereAreNoneWhereNothingAboveTheZoneCanDenyIt) {
  auto resolver = private_zone();
  for (const char* anchor : {"cluster.local.", "local.", "."}) {
    resolver.negative_trust_anchors = {anchor};
    EXPECT_TRUE(doubts_about(with(resolver)).empty()) << anchor;
  }
  resolver = private_zone();
  resolver.dnssec = false;
  EXPECT_TRUE(doubts_about(with(resolver)).empty());
  resolver = private_zone();
  resolver.trust_anchors = {"example. IN DS 1 8 2 00"};
  EXPECT_TRUE(doubts_about(with(resolver)).empty()) << "no anchor above it";
  resolver.trust_anchors = {". IN DS 1 8 2 00", "Cluster.Local IN DS 1 8 2 00"};
  EXPECT_TRUE(doubts_about(with(resolver)).empty()) << "an anchor of its own";
}

TEST(Doubts, AnAnchorBetweenANegativeOneAndTheZoneCounts) {
  auto resolver = private_zone();
  resolver.trust_anchors = {"local. IN DS 1 8 2 00"};
  resolver.negative_trust_anchors = {"."};
  EXPECT_EQ(doubts_about(with(resolver)).size(), 1U);
  resolver.negative_trust_anchors = {"example."};
  EXPECT_EQ(doubts_about(with(resolver)).size(), 1U);
}

}  // namespace
}  // namespace isthmus
