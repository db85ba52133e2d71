// SPDX-License-Identifier: Apache-2.0
#include "controller/shell/policy_steps.hpp"

#include <gtest/gtest.h>

#include "common/config/from_proto.hpp"
#include "common/config/yaml.hpp"
#include "isthmus/v1/policy.pb.h"
#include "tests/support/policies.hpp"

namespace isthmus::controller {
namespace {

PolicyText text(v1::Policy wire) {
  auto policy = from_proto(wire);
  EXPECT_TRUE(policy.has_value()) << policy.error()[0].path << ": " << policy.error()[0].message;
  return {std::make_shared<const Policy>(std::move(*policy)),
          std::make_shared<const v1::Policy>(std::move(wire))};
}

class PolicyStepsTest : public testing::Test {
 protected:
  [[nodiscard]] PolicySteps plan() const {
    auto steps = plan_steps(running, running, text(next));
    EXPECT_TRUE(steps.has_value());
    return steps.value_or(PolicySteps{.target = {}, .bridge = {}, .interim = {}, .retired = {}});
  }
  v1::Policy next = *parse_policy_yaml(test::kSmallPolicy);
  PolicyText running = text(next);
  static constexpr auto kDns64 = static_cast<std::size_t>(ServiceKind::kDns64);
  static constexpr auto kNat64 = static_cast<std::size_t>(ServiceKind::kNat64);
};

TEST_F(PolicyStepsTest, TheFirstPolicyHasNoSteps) {
  const auto steps = plan_steps({}, {}, running);
  ASSERT_TRUE(steps.has_value());
  EXPECT_FALSE(steps->staged[kDns64] || steps->staged[kNat64]);
  EXPECT_TRUE(steps->bridge.empty());
}

TEST_F(PolicyStepsTest, AnExclusionGoesToEveryoneAtOnce) {
  next.mutable_exclusions()->add_ipv4_destinations("192.0.2.0/24");
  const auto steps = plan();
  EXPECT_FALSE(steps.staged[kDns64] || steps.staged[kNat64]);
}

TEST_F(PolicyStepsTest, APoolIsStagedForNodesAndAViewForResolvers) {
  next.mutable_pools(0)->add_addresses("198.51.100.0/30");
  EXPECT_TRUE(plan().staged[kNat64]);
  EXPECT_FALSE(plan().staged[kDns64]);
  next = *running.wire;
  next.mutable_dns64()->mutable_views(0)->set_rebinding_protection(true);
  EXPECT_FALSE(plan().staged[kNat64]);
  EXPECT_TRUE(plan().staged[kDns64]);
}

TEST_F(PolicyStepsTest, AnExclusionBesideAStagedChangeGoesAheadOfIt) {
  next.mutable_pools(0)->add_addresses("198.51.100.0/30");
  next.mutable_exclusions()->add_ipv4_destinations("192.0.2.0/24");
  const auto steps = plan();
  ASSERT_FALSE(steps.interim[kNat64].empty());
  EXPECT_EQ(1U, steps.interim[kNat64].policy->exclusions.ipv4_destinations.size());
  EXPECT_EQ(1U, steps.interim[kNat64].policy->pools[0].addresses.size()) << "the pools that run";
  EXPECT_TRUE(steps.interim[kDns64].empty()) << "resolvers get the whole at once";
}

TEST_F(PolicyStepsTest, APrefixThatComesNeedsNoBridge) {
  auto& prefix = *next.add_translation_prefixes();
  prefix.set_name("second");
  prefix.set_prefix("2001:db8:64::/96");
  prefix.add_clients("2001:db8::/32");
  const auto steps = plan();
  EXPECT_TRUE(steps.staged[kDns64] && steps.staged[kNat64]);
  EXPECT_TRUE(steps.bridge.empty());
}

TEST_F(PolicyStepsTest, APrefixThatGoesIsInTheBridgeAndRetired) {
  next.mutable_translation_prefixes(0)->set_name("second");
  next.mutable_translation_prefixes(0)->set_prefix("2001:db8:64::/96");
  next.mutable_dns64()->mutable_views(0)->set_prefixes(0, "second");
  const auto steps = plan();
  ASSERT_FALSE(steps.bridge.empty());
  EXPECT_EQ(2U, steps.bridge.policy->translation_prefixes.size());
  ASSERT_EQ(1U, steps.retired.size());
  EXPECT_EQ("64:ff9b::/96", steps.retired[0].prefix.to_string());
  EXPECT_EQ(96U, steps.retired[0].embed_length);
}

TEST_F(PolicyStepsTest, AParentThatGoesIsRetiredWithItsNodesPrefixLength) {
  next.mutable_translation_prefixes(0)->set_prefix("2001:db8:64::/64");
  next.mutable_translation_prefixes(0)->set_assignment(v1::TranslationPrefix::PER_NODE);
  running = text(next);
  next.mutable_translation_prefixes(0)->set_name("second");
  next.mutable_translation_prefixes(0)->set_prefix("2001:db8:65::/64");
  next.mutable_dns64()->mutable_views(0)->set_prefixes(0, "second");
  EXPECT_EQ((std::vector<RetiredPrefix>{{*Ipv6Prefix::parse("2001:db8:64::/64"), 96}}), plan().retired)
      << "its nodes' prefixes are /96s, although RFC 6052 knows its own length too";
}

TEST_F(PolicyStepsTest, PrefixesThatCannotRunSideBySideAreRefusedWithTheRemedy) {
  next.mutable_translation_prefixes(0)->set_name("wider");
  next.mutable_translation_prefixes(0)->set_prefix("64:ff9b::/64");
  next.mutable_dns64()->mutable_views(0)->set_prefixes(0, "wider");
  const auto steps = plan_steps(running, running, text(next));
  ASSERT_FALSE(steps.has_value());
  EXPECT_NE(std::string::npos, steps.error()[0].message.find("two steps"));
}

TEST_F(PolicyStepsTest, ARenamedPrefixGoesNowhere) {
  next.mutable_translation_prefixes(0)->set_name("renamed");
  next.mutable_dns64()->mutable_views(0)->set_prefixes(0, "renamed");
  EXPECT_TRUE(plan().bridge.empty());
}

}  // namespace
}  // namespace isthmus::controller
