// SPDX-License-Identifier: Apache-2.0
#include "common/config/from_proto.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "common/config/yaml.hpp"
#include "tests/support/policies.hpp"

namespace isthmus {
namespace {

std::string all(const std::vector<Violation>& violations) {
  std::string out;
  for (const auto& v : violations) out += v.path + ": " + v.message + "\n";
  return out;
}

TEST(FromProto, SmallestUsefulPolicyHasItsDefaults) {
  const auto policy = load_policy(test::kSmallPolicy);
  ASSERT_TRUE(policy) << all(policy.error());
  EXPECT_EQ(policy->translation_prefixes[0].ipv4_ranges, std::vector<Ipv4Prefix>{Ipv4Prefix{}});
  EXPECT_EQ(policy->pools[0].ports.first, 1024);
  EXPECT_EQ(policy->pools[0].subscribers.ports_per_block, 256U);
  EXPECT_EQ(policy->pools[0].lease.on_expiry, OnExpiry::kHold);
  EXPECT_EQ(policy->nat64.timeouts.tcp_established, std::chrono::seconds{7440});
  EXPECT_EQ(policy->exclusions.ipv6_answers, std::vector{Ipv6Prefix::parse("::ffff:0:0/96").value()});
  EXPECT_EQ(policy->dns64.views[0].steering_ttl, std::chrono::seconds{30});
}

TEST(FromProto, EveryFieldArrives) {
  const auto policy = load_policy(test::kFullPolicy);
  ASSERT_TRUE(policy) << all(policy.error());
  EXPECT_EQ(policy->revision, 7U);
  EXPECT_EQ(policy->translation_prefixes[1].assignment, Assignment::kPerNode);
  EXPECT_EQ(policy->translation_prefixes[1].embed_length(), 96U);
  EXPECT_EQ(policy->exclusions.never_synthesize, std::vector<std::string>{"corp.example."});
  EXPECT_EQ(policy->pools[0].lease.term, std::chrono::seconds{90});
  EXPECT_EQ(policy->pools[0].subscribers.max_per_64, 9U);
  EXPECT_EQ(policy->pools[0].subscribers.new_sessions_per_second, 20U);
  EXPECT_EQ(policy->static_mappings[0].public4.port, 80);
  EXPECT_EQ(policy->nat64.timeouts.fragment, std::chrono::milliseconds{2500});
  EXPECT_FALSE(policy->nat64.log_blocks);
  EXPECT_EQ(policy->dns64.resolvers[0].upstreams[1].port, 853);
  EXPECT_EQ(policy->dns64.resolvers[0].zones[0].kind, ZoneKind::kStub);
  EXPECT_EQ(policy->dns64.limits.stale_seconds, 0U);
}

struct Row {
  const char* why;
  const char* from;  // text in the full policy
  const char* to;    // what stands there instead
  const char* path;  // of the violation that must be among those returned
};

constexpr Row kRefused[] = {
    {"length 72 is none of the six", "64:ff9b::/96", "2001:db8:1::/72", "translation_prefixes[0].prefix"},
    {"host bits", "64:ff9b::/96", "64:ff9b::1/96", "translation_prefixes[0].prefix"},
    {"a parent must be shorter than /96", "2001:db8:64::/64", "2001:db8:64::/96",
     "translation_prefixes[1].prefix"},
    {"the well-known prefix cannot be a parent", "2001:db8:64::/64", "64:ff9b::/64",
     "translation_prefixes[1].prefix"},
    {"prefixes overlap", "64:ff9b::/96", "2001:db8:64::/96", "translation_prefixes[1].prefix"},
    {"non-global under the well-known prefix", "assignment: SHARED",
     "assignment: SHARED, allow_non_global: true", "translation_prefixes[0].allow_non_global"},
    {"open translator", R"(clients: ["2001:db8::/32"], ipv4_ranges)", R"(clients: ["::/0"], ipv4_ranges)",
     "translation_prefixes[0].clients"},
    {"the whole of global unicast", R"(clients: ["2001:db8::/32"], ipv4_ranges)",
     R"(clients: ["2000::/3"], ipv4_ranges)", "translation_prefixes[0].clients"},
    {"IPv4-mapped addresses are no translation prefix", "64:ff9b::/96", "::ffff:0:0/96",
     "translation_prefixes[0].prefix"},
    {"multicast is no translation prefix", "64:ff9b::/96", "ff0e::/96", "translation_prefixes[0].prefix"},
    {"a name that would not be plain text in a configuration", "Corp.Example", "\"corp'#.example\"",
     "exclusions.never_synthesize[0]"},
    {"no clients", R"(clients: ["2001:db8::/32"], ipv4_ranges)", "clients: [], ipv4_ranges",
     "translation_prefixes[0].clients"},
    {"one name twice", "name: steered", "name: well-known", "translation_prefixes[1].name"},
    {"a name with a space", "name: steered", "name: \"a b\"", "translation_prefixes[1].name"},
    {"an excluded range with host bits", "192.0.2.0/24]\n  ipv6", "192.0.2.1/24]\n  ipv6",
     "exclusions.ipv4_destinations[0]"},
    {"an empty label", "Corp.Example", "corp..example", "exclusions.never_synthesize[0]"},
    {"loopback pool", "[203.0.113.0/28]", "[203.0.113.0/28, 127.0.0.0/30]", "pools[0].addresses[1]"},
    {"a pool that overlaps itself", "[203.0.113.0/28]", "[203.0.113.0/28, 203.0.113.8/29]",
     "pools[0].addresses[1]"},
    {"public addresses in a local pool", "kind: LEASED\n    addresses: [203.0.113.0/28]",
     "kind: NODE_LOCAL\n    addresses: [93.184.216.0/28]", "pools[0].addresses[0]"},
    {"static mappings behind a masquerade", "kind: LEASED", "kind: NODE_LOCAL", "static_mappings[0].public4"},
    {"port range backwards", "first: 2048, last: 65535", "first: 9, last: 8", "pools[0].ports"},
    {"blocks are powers of two", "ports_per_block: 512", "ports_per_block: 500",
     "pools[0].subscribers.ports_per_block"},
    {"LEASED must say who is one subscriber", "prefix_length: 64, ", "",
     "pools[0].subscribers.prefix_length"},
    {"term too short", "term: 90s", "term: 1s", "pools[0].lease.term"},
    {"mapping without protocol", "protocol: TCP, ", "", "static_mappings[0].protocol"},
    {"mapping outside the pools", "public4: 203.0.113.1", "public4: 203.0.113.16",
     "static_mappings[0].public4"},
    {"mapping for a stranger", "client6: \"2001:db8::5\"", "client6: \"2001:db9::5\"",
     "static_mappings[0].client6"},
    {"port 0", "port4: 80", "port4: 0", "static_mappings[0].port4"},
    {"below RFC 6146's two minutes", "udp: 5m", "udp: 119s", "nat64.timeouts.udp"},
    {"below two hours four minutes", "tcp_established: 3h", "tcp_established: 2h",
     "nat64.timeouts.tcp_established"},
    {"MTU below IPv6's minimum", "lowest_ipv6_mtu: 1400", "lowest_ipv6_mtu: 1279", "nat64.lowest_ipv6_mtu"},
    {"a probe from a stranger", "client6: \"2001:db8::ffff\"", "client6: \"2001:db9::ffff\"",
     "nat64.probe.client6"},
    {"a probe of nothing", "target4: 198.51.100.1", "target4: dns.example", "nat64.probe.target4"},
    {"a probe that floods", "interval: 5s", "interval: 100ms", "nat64.probe.interval"},
    {"a list without a file", "never_synthesize: [Corp.Example]", "never_synthesize_lists: [{}]",
     "exclusions.never_synthesize_lists[0].file"},
    {"a hash that is a path", "never_synthesize: [Corp.Example]",
     "never_synthesize_lists: [{file: a, chunks: [../../etc/passwd]}]",
     "exclusions.never_synthesize_lists[0].chunks"},
    {"unknown prefix", "prefixes: [well-known, steered]", "prefixes: [nowhere]",
     "dns64.views[0].prefixes[0]"},
    {"unknown resolver", "resolver: main", "resolver: other", "dns64.views[0].resolver"},
    {"open resolver", "192.0.2.0/24], prefixes", "0.0.0.0/0], prefixes", "dns64.views[0].clients[1]"},
    {"RECURSE with upstreams", "mode: FORWARD", "mode: RECURSE", "dns64.resolvers[0].upstreams"},
    {"TLS without a name", ", tls_name: dns.example", "", "dns64.resolvers[0].upstreams[1].tls_name"},
    {"an address that is none", "address: 192.0.2.53", "address: dns.example",
     "dns64.resolvers[0].upstreams[0].address"},
    {"cache too small", "cache_bytes: 1048576", "cache_bytes: 1000", "dns64.limits.cache_bytes"},
};

TEST(FromProto, EnumValuesOfALaterVersionAreRefused) {
  auto message = parse_policy_yaml(test::kFullPolicy).value();
  message.mutable_pools(0)->mutable_lease()->set_on_expiry(static_cast<v1::Lease::OnExpiry>(9));
  const auto policy = from_proto(message);
  ASSERT_FALSE(policy);
  EXPECT_EQ(policy.error().front().path, "pools[0].lease.on_expiry");
}

TEST(FromProto, TheLongestDomainNameIsTaken) {
  const std::string label(63, 'a');
  auto message = parse_policy_yaml(test::kFullPolicy).value();
  auto& name = *message.mutable_exclusions()->mutable_never_synthesize(0);
  name = label + "." + label + "." + label + "." + std::string(61, 'b') + ".";  // 254 with the final dot
  EXPECT_TRUE(from_proto(message));
  name = label + "." + label + "." + label + "." + std::string(62, 'b');
  EXPECT_FALSE(from_proto(message));
}

TEST(FromProto, EachRuleRefusesWithItsPath) {
  for (const auto& row : kRefused) {
    std::string text = test::kFullPolicy;
    const auto where = text.find(row.from);
    ASSERT_NE(where, std::string::npos) << row.why;
    text.replace(where, std::string_view{row.from}.size(), row.to);
    const auto policy = load_policy(text);
    ASSERT_FALSE(policy) << row.why;
    EXPECT_TRUE(std::ranges::any_of(policy.error(), [&](const auto& v) { return v.path == row.path; }))
        << row.why << "; got\n"
        << all(policy.error());
  }
}

TEST(FromProto, LabSwitchAllowsShortTimeouts) {
  std::string text = test::kFullPolicy;
  text.replace(text.find("udp: 5m"), 7, "udp: 1s");
  text.replace(text.find("mss_clamp: true"), 15, "allow_short_timeouts: true");
  const auto policy = load_policy(text);
  ASSERT_TRUE(policy) << all(policy.error());
  EXPECT_EQ(policy->nat64.timeouts.udp, std::chrono::seconds{1});
}

TEST(FromProto, AllViolationsComeAtOnce) {
  const auto policy = load_policy("pools: [{name: a}, {name: a}]");
  ASSERT_FALSE(policy);
  EXPECT_GE(policy.error().size(), 5U) << all(policy.error());
}

TEST(FromProto, ResolverTextCannotBreakOutOfItsLine) {
  v1::Policy message = parse_policy_yaml(test::kFullPolicy).value();
  message.mutable_dns64()->mutable_resolvers(0)->add_trust_anchors("x\nserver: do-not-query-localhost: no");
  message.mutable_dns64()->mutable_resolvers(0)->add_root_hints("a \"b");
  const auto policy = from_proto(message);
  ASSERT_FALSE(policy);
  EXPECT_EQ(policy.error().size(), 2U) << all(policy.error());
}

}  // namespace
}  // namespace isthmus
