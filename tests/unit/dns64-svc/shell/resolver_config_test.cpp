// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/shell/resolver_config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace isthmus::dns64 {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string config(const Resolver& resolver) {
  return unbound_config(resolver, {}, {}).value();
}

TEST(ResolverConfig, RecursionValidatesFromTheRootsAnchors) {
  const auto text = config({.name = "main"});
  EXPECT_THAT(text, HasSubstr("module-config: \"validator iterator\""));
  EXPECT_THAT(text, HasSubstr("trust-anchor: \". IN DS 20326 8 2 "));
  EXPECT_THAT(text, HasSubstr("trust-anchor: \". IN DS 38696 8 2 "));
  EXPECT_THAT(text, HasSubstr("use-caps-for-id: yes"));
  EXPECT_THAT(text, Not(HasSubstr("forward-zone")));
  EXPECT_THAT(text, Not(HasSubstr("nodefault")));
}

TEST(ResolverConfig, WithoutDnssecThereIsNoValidatorAndNoAnchor) {
  const auto text = config({.name = "main", .dnssec = false});
  EXPECT_THAT(text, HasSubstr("module-config: \"iterator\""));
  EXPECT_THAT(text, Not(HasSubstr("trust-anchor")));
}

TEST(ResolverConfig, OwnAnchorsReplaceTheBuiltInOnes) {
  const auto text = config({.name = "main",
                            .trust_anchors = {"test. IN DS 1 8 2 AA"},
                            .negative_trust_anchors = {"broken.test."}});
  EXPECT_THAT(text, HasSubstr("trust-anchor: \"test. IN DS 1 8 2 AA\""));
  EXPECT_THAT(text, Not(HasSubstr("20326")));
  EXPECT_THAT(text, HasSubstr("domain-insecure: \"broken.test.\""));
}

TEST(ResolverConfig, TheRootsKeysAreFollowedInAFileWhereThereIsOne) {
  const auto text = unbound_config({.name = "main"}, {}, {.root_anchor = {.file = "/var/lib/x.key"}}).value();
  EXPECT_THAT(text, HasSubstr("auto-trust-anchor-file: \"/var/lib/x.key\""));
  EXPECT_THAT(text, Not(HasSubstr("  trust-anchor: ")));
  const auto own = unbound_config({.name = "main", .trust_anchors = {"test. IN DS 1 8 2 AA"}}, {},
                                  {.root_anchor = {.file = "/var/lib/x.key"}})
                       .value();
  EXPECT_THAT(own, Not(HasSubstr("auto-trust-anchor-file")));
}

TEST(ResolverConfig, OnlyALabShortensTheHoldDownOfTheRootsKeys) {
  UnboundFiles files{.root_anchor = {.file = "/var/lib/x.key"}};
  EXPECT_THAT(unbound_config({.name = "main"}, {}, files).value(), Not(HasSubstr("holddown")));
  files.root_anchor.lab_hold_down = 12;
  const auto text = unbound_config({.name = "main"}, {}, files).value();
  EXPECT_THAT(text, HasSubstr("permit-small-holddown: yes"));
  EXPECT_THAT(text, HasSubstr("add-holddown: 12"));
  EXPECT_THAT(text, HasSubstr("del-holddown: 12"));
}

TEST(ResolverConfig, ANegativeAnchorTakesThePlaceOfAnAnchorOfTheSameName) {
  const auto text = config({.name = "main",
                            .trust_anchors = {"Broken.test DS 1 8 2 AA", "good.test. DS 1 8 2 BB"},
                            .negative_trust_anchors = {"broken.test."}});
  EXPECT_THAT(text, Not(HasSubstr("Broken.test")));
  EXPECT_THAT(text, HasSubstr("trust-anchor: \"good.test. DS 1 8 2 BB\""));
}

TEST(ResolverConfig, AForwarderIsAskedForEverythingAndNotCached) {
  const auto text =
      config({.name = "main",
              .mode = ResolverMode::kForward,
              .upstreams = {{.address = "192.0.2.53"}, {.address = "2001:db8::53", .port = 5353}}});
  EXPECT_THAT(text, HasSubstr("forward-zone:\n  name: \".\"\n  forward-addr: \"192.0.2.53@53\"\n"
                              "  forward-addr: \"2001:db8::53@5353\"\n  forward-no-cache: yes"));
  EXPECT_THAT(text, HasSubstr("local-zone: \"home.arpa.\" nodefault"));
  EXPECT_THAT(text, HasSubstr("use-caps-for-id: no"));
}

TEST(ResolverConfig, TlsUpstreamsCarryTheNameToCheck) {
  const auto text =
      config({.name = "main",
              .mode = ResolverMode::kForward,
              .upstreams = {{.address = "192.0.2.53", .port = 853, .tls = true, .tls_name = "dns.example"}}});
  EXPECT_THAT(text, HasSubstr("forward-addr: \"192.0.2.53@853#dns.example\""));
  EXPECT_THAT(text, HasSubstr("forward-tls-upstream: yes"));
  EXPECT_THAT(text, HasSubstr("tls-system-cert: yes"));
}

TEST(ResolverConfig, MixedTlsAndPlainUpstreamsAreRefused) {
  const auto text =
      unbound_config({.name = "main",
                      .mode = ResolverMode::kForward,
                      .upstreams = {{.address = "192.0.2.53", .tls = true, .tls_name = "a.example"},
                                    {.address = "192.0.2.54"}}},
                     {}, {});
  ASSERT_FALSE(text.has_value());
  EXPECT_THAT(text.error(), HasSubstr("mixes upstreams"));
}

TEST(ResolverConfig, ZonesOfTheirOwnAreForwardedOrStubbedAndNeverAnsweredLocally) {
  const auto text = config(
      {.name = "main",
       .zones = {
           {.name = "cluster.local.", .upstreams = {{.address = "10.0.0.10"}}},
           {.name = "10.in-addr.arpa.", .kind = ZoneKind::kStub, .upstreams = {{.address = "10.0.0.11"}}}}});
  EXPECT_THAT(text, HasSubstr("forward-zone:\n  name: \"cluster.local.\"\n  forward-addr: \"10.0.0.10@53\""));
  EXPECT_THAT(text, HasSubstr("stub-zone:\n  name: \"10.in-addr.arpa.\"\n  stub-addr: \"10.0.0.11@53\""));
  EXPECT_THAT(text, HasSubstr("local-zone: \"10.in-addr.arpa.\" nodefault"));
}

TEST(ResolverConfig, NothingThatAnOperatorWritesCanEndItsQuotes) {
  for (const std::string bad : {"x\"\nlocal-data: \"evil", "line\nbreak", "back\\slash"}) {
    EXPECT_FALSE(unbound_config({.name = "main", .trust_anchors = {bad}}, {}, {}).has_value()) << bad;
    EXPECT_FALSE(unbound_config({.name = "main", .zones = {{.name = bad}}}, {}, {}).has_value()) << bad;
  }
}

TEST(ResolverConfig, LimitsThatItSpeaksOfAreToldFromOthers) {
  const auto text = [](const Dns64Limits& limits) { return unbound_config({.name = "main"}, limits, {}); };
  for (const Dns64Limits& other :
       {Dns64Limits{.max_ttl_seconds = 60}, Dns64Limits{.max_negative_ttl_seconds = 60},
        Dns64Limits{.max_outstanding = 60}, Dns64Limits{.max_outstanding = 5000},
        Dns64Limits{.cache_bytes = 1 << 20}, Dns64Limits{.stale_seconds = 0}}) {
    EXPECT_EQ(alike_in_config({}, other), text({}).value() == text(other).value());
  }
}

TEST(ResolverConfig, RootHintsBecomeAZone) {
  EXPECT_EQ(root_hints_zone({.root_hints = {"a.root.test 192.0.2.1", "b.root.test. 2001:db8::1"}}).value(),
            ". 3600000 IN NS a.root.test.\na.root.test. 3600000 IN A 192.0.2.1\n"
            ". 3600000 IN NS b.root.test.\nb.root.test. 3600000 IN AAAA 2001:db8::1\n");
  EXPECT_FALSE(root_hints_zone({.root_hints = {"a.root.test"}}).has_value());
  EXPECT_FALSE(root_hints_zone({.root_hints = {"a.root.test 192.0.2.1 more"}}).has_value());
  EXPECT_FALSE(root_hints_zone({.root_hints = {""}}).has_value());
}

}  // namespace
}  // namespace isthmus::dns64
