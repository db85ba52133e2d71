// SPDX-License-Identifier: Apache-2.0
#include "common/config/to_proto.hpp"

#include <gtest/gtest.h>

#include "common/config/yaml.hpp"
#include "tests/support/policies.hpp"

namespace isthmus {
namespace {

Policy load(const std::string& yaml) {
  auto policy = load_policy(yaml);
  if (policy) return *policy;
  ADD_FAILURE() << policy.error().front().path << ": " << policy.error().front().message;
  return {};
}

TEST(PolicyToProto, WhatIsShownReadsBackAsThePolicyThatRuns) {
  for (const auto* text : {test::kSmallPolicy, test::kFullPolicy}) {
    const auto policy = load(text);
    EXPECT_EQ(load(to_yaml(to_proto(policy))), policy) << to_yaml(to_proto(policy));
  }
}

TEST(PolicyToProto, ALabsShortTimeoutsAreReadBackToo) {
  const auto policy =
      load(std::string{test::kSmallPolicy} + "nat64: {allow_short_timeouts: true, timeouts: {udp: 1s}}\n");
  EXPECT_EQ(load(to_yaml(to_proto(policy))), policy);
}

TEST(PolicyToProto, DefaultsAreWrittenOut) {
  const auto shown = to_proto(load(test::kSmallPolicy));
  EXPECT_EQ(shown.translation_prefixes(0).assignment(), v1::TranslationPrefix::SHARED);
  EXPECT_EQ(shown.translation_prefixes(0).ipv4_ranges(0), "0.0.0.0/0");
  EXPECT_EQ(shown.pools(0).ports().first(), 1024U);
  EXPECT_EQ(shown.pools(0).subscribers().ports_per_block(), 256U);
  EXPECT_EQ(shown.pools(0).lease().on_expiry(), v1::Lease::HOLD);
  EXPECT_EQ(shown.nat64().timeouts().tcp_established().seconds(), 7440);
  EXPECT_TRUE(shown.nat64().hairpinning());
  EXPECT_EQ(shown.nat64().filtering(), v1::Nat64::ENDPOINT_INDEPENDENT);
  EXPECT_EQ(shown.exclusions().ipv6_answers(0), "::ffff:0:0/96");
  EXPECT_EQ(shown.dns64().limits().cache_bytes(), 268435456U);
  EXPECT_EQ(shown.dns64().views(0).steering_ttl().seconds(), 30);
}

// A field that to_proto() forgets would be missing from what the fullest policy shows.
void expect_every_field(const google::protobuf::Message& message, const std::string& path) {
  const auto& fields = *message.GetDescriptor();
  const auto& reflect = *message.GetReflection();
  for (int i = 0; i < fields.field_count(); ++i) {
    const auto* field = fields.field(i);
    const auto where = path + field->name();
    const bool set =
        field->is_repeated() ? reflect.FieldSize(message, field) > 0 : reflect.HasField(message, field);
    EXPECT_TRUE(set) << where << " is not in the test's fullest policy, or to_proto() leaves it out";
    if (!set || field->message_type() == nullptr ||
        field->message_type()->full_name() == "google.protobuf.Duration")
      continue;
    if (!field->is_repeated()) {
      expect_every_field(reflect.GetMessage(message, field), where + ".");
    } else {
      expect_every_field(reflect.GetRepeatedMessage(message, field, reflect.FieldSize(message, field) - 1),
                         where + "[last].");
    }
  }
}

TEST(PolicyToProto, NoFieldOfTheSchemaIsForgotten) {
  auto policy = load(test::kFullPolicy);
  policy.translation_prefixes.back().allow_non_global = true;
  policy.exclusions.never_synthesize_lists = {{"never.txt", {std::string(64, 'a')}, {}}};
  policy.exclusions.always_synthesize_lists = {{"always.txt", {std::string(64, 'b')}, {}}};
  policy.nat64.hairpinning = true;
  policy.nat64.allow_short_timeouts = true;
  const Upstream tls{"192.0.2.53", 853, true, "dns.example"};
  policy.dns64.resolvers = {{.name = "all",
                             .mode = ResolverMode::kForward,
                             .upstreams = {tls},
                             .zones = {{"example.", ZoneKind::kStub, {tls}}},
                             .trust_anchors = {". DS 1 8 2 00"},
                             .negative_trust_anchors = {"bad.example."},
                             .root_hints = {"a. 192.0.2.1"},
                             .local_zones = true}};
  expect_every_field(to_proto(policy), "");
}

}  // namespace
}  // namespace isthmus
