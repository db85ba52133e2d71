// SPDX-License-Identifier: Apache-2.0
// One service for tests of queries: a policy, a cache, and the facts that its resolver would find.
#pragma once

#include <gtest/gtest.h>

#include "dns64-svc/core/query.hpp"
#include "tests/unit/dns64-svc/core/dns_lab.hpp"

namespace isthmus::dns64::test {

inline const ClientAddress kClient = v6("2001:db8:1::7");

// RFC 6052 §2.4: 192.0.2.33 under a prefix of each length.
struct Embedding {
  const char *prefix, *address;
};
inline constexpr Embedding kSixLengths[] = {{"2001:db8::/32", "2001:db8:c000:221::"},
                                            {"2001:db8:100::/40", "2001:db8:1c0:2:21::"},
                                            {"2001:db8:122::/48", "2001:db8:122:c000:2:2100::"},
                                            {"2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::"},
                                            {"2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100:0"},
                                            {"2001:db8:122:344::/96", "2001:db8:122:344::c000:221"}};

inline Policy lab_policy() {
  Policy policy;
  TranslationPrefix prefix;
  prefix.name = "wkp";
  prefix.prefix = Ipv6Prefix::parse("64:ff9b::/96").value();
  prefix.clients = {Ipv6Prefix::parse("2001:db8::/32").value()};
  prefix.ipv4_ranges = {Ipv4Prefix{}};
  policy.translation_prefixes = {prefix};
  policy.exclusions.ipv6_answers = {Ipv6Prefix::parse("::ffff:0:0/96").value()};
  Resolver resolver;
  resolver.name = "main";
  policy.dns64.resolvers = {resolver};
  View view;
  view.name = "default";
  view.clients = {IpPrefix{Ipv6Prefix::parse("2001:db8::/32").value()}};
  view.prefixes = {"wkp"};
  view.resolver = "main";
  policy.dns64.views = {view};
  return policy;
}

class QueryTest : public testing::Test {
 protected:
  void run_policy() {
    const auto compiled = Dns64Runtime::compile(policy, healthy, groups);
    ASSERT_TRUE(compiled) << compiled.error();
    runtime = *compiled;
  }
  void know(FactPtr fact) { cache.insert(std::move(fact), kNow); }
  Context context(TimePoint now = kNow) { return Context{.runtime = *runtime, .cache = cache, .now = now}; }

  Step start(const Asked& asked, TimePoint now = kNow) {
    if (!runtime) run_policy();
    client.address = address;
    return query.start(request(asked), client, context(now), room);
  }
  Reply reply(const Step& step) {
    EXPECT_EQ(step.kind, Step::Kind::kReply);
    return step.kind == Step::Kind::kReply ? read_reply(std::span{room}.first(step.size)) : Reply{};
  }
  Reply ask(const Asked& asked, TimePoint now = kNow) {
    query = Query{};
    last = start(asked, now);
    return reply(last);
  }

  Policy policy = lab_policy();
  HealthySet healthy;
  ResolverGroups groups;
  std::shared_ptr<const Dns64Runtime> runtime;
  FactCache cache{{.max_bytes = 1 << 20, .stale_seconds = 3600}, HashKey{}, 2};
  ClientAddress address = kClient;
  ClientInfo client;
  Query query;
  Step last;
  std::vector<std::uint8_t> room = std::vector<std::uint8_t>(65535);
};

inline Rr a(const std::string& owner, const std::string& address, std::uint32_t ttl = 300) {
  return {Section::kAnswer, owner, rr::kA, ttl, address};
}
inline Rr aaaa(const std::string& owner, const std::string& address, std::uint32_t ttl = 300) {
  return {Section::kAnswer, owner, rr::kAaaa, ttl, address};
}
inline Rr cname(const std::string& owner, const std::string& target, std::uint32_t ttl = 300) {
  return {Section::kAnswer, owner, rr::kCname, ttl, target};
}

}  // namespace isthmus::dns64::test
