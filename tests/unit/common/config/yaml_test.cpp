// SPDX-License-Identifier: Apache-2.0
#include "common/config/yaml.hpp"

#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>

#include "tests/support/policies.hpp"

namespace isthmus {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;

auto violation(const std::string& path, const std::string& part) {
  return AllOf(Field(&Violation::path, path), Field(&Violation::message, HasSubstr(part)));
}

TEST(ParsePolicyYaml, FullPolicyReadsBackFromItsCanonicalText) {
  const auto policy = parse_policy_yaml(test::kFullPolicy);
  ASSERT_TRUE(policy) << policy.error().front().path << ": " << policy.error().front().message;
  const auto again = parse_policy_yaml(to_yaml(*policy));
  ASSERT_TRUE(again) << to_yaml(*policy) << again.error().front().path;
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(*policy, *again));
}

TEST(ParsePolicyYaml, AllViolationsAreReturnedWithPathLineAndSuggestion) {
  const auto policy = parse_policy_yaml(
      "translation_prefixes:\n"
      "  - name: a\n"
      "    prefx: 64:ff9b::/96\n"
      "    assignment: PER_NOD\n"
      "nat64: {hairpinning: maybe, timeouts: {udp: soon}, lowest_ipv6_mtu: -1}\n"
      "pools: 5\n"
      "revision: 1\n"
      "revision: 2\n");
  ASSERT_FALSE(policy);
  EXPECT_THAT(
      policy.error(),
      ElementsAre(violation("translation_prefixes[0].prefx", "did you mean `prefix`? (line 3)"),
                  violation("translation_prefixes[0].assignment", "none of: SHARED, PER_NODE (line 4)"),
                  violation("nat64.hairpinning", "true or false"),
                  violation("nat64.timeouts.udp", "duration"),
                  violation("nat64.lowest_ipv6_mtu", "whole number"), violation("pools", "a list"),
                  violation("revision", "given twice")));
}

TEST(ParsePolicyYaml, WhatIsNotADocumentIsRefused) {
  for (const auto* text : {"", "# only a comment\n", "a: [", "- 1\n- 2\n", "just text", "a: 1\n---\nb: 2\n",
                           "? {x: y}\n: 1\n"}) {
    EXPECT_FALSE(parse_policy_yaml(text)) << text;
  }
  EXPECT_FALSE(parse_policy_yaml(std::string(kMaxPolicyBytes + 1, ' ')));
}

TEST(ParsePolicyYaml, StrayBracketsAndSecondDocumentsAreRefusedAtOnce) {
  for (const auto* text :
       {"}", "]", ",revision}}}}", "revision: 1\n---\nrevision: 2\n", "revision: 1\n...\n}"}) {
    const auto parsed = parse_policy_yaml(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_NE(parsed.error()[0].message.find("(line "), std::string::npos) << parsed.error()[0].message;
  }
  EXPECT_TRUE(parse_policy_yaml("---\nrevision: 1\n"));
}

TEST(ParsePolicyYaml, UnspecifiedEnumValuesCannotBeWritten) {
  const auto policy = parse_policy_yaml("pools: [{kind: KIND_UNSPECIFIED}]");
  ASSERT_FALSE(policy);
  EXPECT_THAT(policy.error(), ElementsAre(violation("pools[0].kind", "LEASED, NODE_LOCAL")));
}

}  // namespace
}  // namespace isthmus
