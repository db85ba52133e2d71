// SPDX-License-Identifier: Apache-2.0
#include "controller/core/node_prefixes.hpp"

#include <gtest/gtest.h>

#include <set>

namespace isthmus::controller {
namespace {

Policy with_parent(const char* parent) {
  Policy p;
  p.translation_prefixes.resize(1);
  p.translation_prefixes[0].name = "steered";
  p.translation_prefixes[0].prefix = *Ipv6Prefix::parse(parent);
  p.translation_prefixes[0].assignment = Assignment::kPerNode;
  return p;
}

TEST(NodePrefixes, EachNodeHasA96OfItsOwnUnderTheParent) {
  NodePrefixes prefixes;
  prefixes.set_policy(with_parent("2001:db8:64::/64"));
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) {
    const auto of = prefixes.of("gw" + std::to_string(i), with_parent("2001:db8:64::/64"));
    ASSERT_EQ(1U, of.size());
    EXPECT_EQ(96U, of[0].prefix.length());
    EXPECT_TRUE(Ipv6Prefix::parse("2001:db8:64::/64")->contains(of[0].prefix.prefix()));
    EXPECT_TRUE(seen.insert(of[0].prefix.to_string()).second);
  }
}

TEST(NodePrefixes, ANodeKeepsItsPrefixAcrossPoliciesAndControllers) {
  NodePrefixes one;
  one.set_policy(with_parent("2001:db8:64::/64"));
  const auto before = one.of("gw1", with_parent("2001:db8:64::/64"));
  (void)one.of("gw2", with_parent("2001:db8:64::/64"));
  one.set_policy(with_parent("2001:db8:64::/64"));
  EXPECT_EQ(before, one.of("gw1", with_parent("2001:db8:64::/64")));
  NodePrefixes another;
  another.set_policy(with_parent("2001:db8:64::/64"));
  EXPECT_EQ(before, another.of("gw1", with_parent("2001:db8:64::/64")));
}

TEST(NodePrefixes, AFullParentGivesNoneAndAForgottenNodeMakesRoom) {
  NodePrefixes prefixes;
  prefixes.set_policy(with_parent("2001:db8:64::/95"));
  EXPECT_EQ(1U, prefixes.of("a", with_parent("2001:db8:64::/95")).size());
  EXPECT_EQ(1U, prefixes.of("b", with_parent("2001:db8:64::/95")).size());
  EXPECT_TRUE(prefixes.of("c", with_parent("2001:db8:64::/95")).empty());
  prefixes.forget("a");
  EXPECT_EQ(1U, prefixes.of("c", with_parent("2001:db8:64::/95")).size());
}

}  // namespace
}  // namespace isthmus::controller
