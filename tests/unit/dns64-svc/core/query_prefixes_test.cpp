// SPDX-License-Identifier: Apache-2.0
// RFC 6052 and the policy: which IPv4 addresses under which prefixes.
#include <gmock/gmock.h>

#include "tests/unit/dns64-svc/core/query_lab.hpp"

namespace isthmus::dns64::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::StartsWith;

// RFC 6052 §3.1: what all four of today's servers do wrong.
TEST_F(QueryTest, TheWellKnownPrefixNeverCarriesNonGlobalAddresses) {
  for (const char* private4 :
       {"10.1.2.3", "172.16.9.1", "192.168.7.7", "127.0.0.1", "169.254.3.4", "100.64.0.9"}) {
    cache.flush_all();
    know(nodata("www.example.", rr::kAaaa));
    know(fact("www.example.", rr::kA, {a("www.example.", private4)}));
    EXPECT_THAT(ask({}).answer, IsEmpty()) << private4;
    EXPECT_EQ(last.outcome, Outcome::kNoUsableA);
  }
}

TEST_F(QueryTest, ANetworkSpecificPrefixMayCarryThemWhenThePolicySaysSo) {
  policy.translation_prefixes[0].prefix = Ipv6Prefix::parse("2001:db8:64::/96").value();
  policy.translation_prefixes[0].allow_non_global = true;
  know(nodata("www.example.", rr::kAaaa));
  know(fact("www.example.", rr::kA, {a("www.example.", "10.1.2.3")}));
  EXPECT_THAT(ask({}).answer, ElementsAre("www.example. 300 AAAA 2001:db8:64::a01:203"));
}

TEST_F(QueryTest, ExcludedDestinationsAreNeverSynthesized) {
  policy.exclusions.ipv4_destinations = {Ipv4Prefix::parse("198.51.0.0/24").value()};
  know(nodata("www.example.", rr::kAaaa));
  know(fact("www.example.", rr::kA, {a("www.example.", "198.51.0.33"), a("www.example.", "198.51.7.8")}));
  EXPECT_THAT(ask({}).answer, ElementsAre("www.example. 300 AAAA 64:ff9b::c633:708"));
}

TEST_F(QueryTest, EveryPrefixThatServesTheAddressGivesAnAaaa) {
  auto second = policy.translation_prefixes[0];
  second.name = "own";
  second.prefix = Ipv6Prefix::parse("2001:db8:122:344::/64").value();
  second.ipv4_ranges = {Ipv4Prefix::parse("198.51.7.0/24").value()};
  policy.translation_prefixes.push_back(second);
  policy.dns64.views[0].prefixes = {"wkp", "own"};
  know(nodata("www.example.", rr::kAaaa));
  know(fact("www.example.", rr::kA, {a("www.example.", "198.51.0.33"), a("www.example.", "198.51.7.8")}));
  EXPECT_THAT(ask({}).answer,
              ElementsAre("www.example. 300 AAAA 64:ff9b::c633:21", "www.example. 300 AAAA 64:ff9b::c633:708",
                          "www.example. 300 AAAA 2001:db8:122:344:c6:3307:800:0"));
}

TEST_F(QueryTest, PerNodeAnswersLiveNoLongerThanSteeringTtlAndStayWithTheClientsNode) {
  auto& prefix = policy.translation_prefixes[0];
  prefix.prefix = Ipv6Prefix::parse("2001:db8:64::/48").value();
  prefix.assignment = Assignment::kPerNode;
  for (const char* id : {"n1", "n2", "n3"}) {
    const auto own = Pref64::parse("2001:db8:64:" + std::string(1, id[1]) + "::/96").value();
    healthy.nodes.push_back({id, {{"wkp", own, id}}});
  }
  know(nodata("www.example.", rr::kAaaa));
  know(fact("www.example.", rr::kA, {a("www.example.", "198.51.0.33")}));
  const auto before = ask({}).answer;
  ASSERT_EQ(before.size(), 1U);
  EXPECT_EQ(last.ttl, 30U);
  const std::string node = before[0].substr(before[0].find("2001:db8:64:") + 12, 1);
  // When another node leaves, this client's answer does not change.
  healthy.nodes.erase(healthy.nodes.begin() + (node == "1" ? 1 : 0));
  run_policy();
  EXPECT_EQ(ask({}).answer, before);
}

// RFC 2181 §5.2: where a prefix of a node stands beside one of all, the smaller TTL is that of the RRset,
// whichever comes first.
TEST_F(QueryTest, PrefixesWithTwoTtlsGiveOneRrsetWithTheSmaller) {
  auto of_nodes = policy.translation_prefixes[0];
  of_nodes.name = "nodes";
  of_nodes.prefix = Ipv6Prefix::parse("2001:db8:64::/48").value();
  of_nodes.assignment = Assignment::kPerNode;
  healthy.nodes.push_back({"n1", {{"nodes", Pref64::parse("2001:db8:64:1::/96").value(), "n1"}}});
  policy.translation_prefixes.push_back(of_nodes);
  know(nodata("www.example.", rr::kAaaa));
  know(fact("www.example.", rr::kA,
            {a("www.example.", "198.51.0.33", 300), a("www.example.", "198.51.0.34", 200)}));
  const std::vector<std::vector<std::string>> orders{{"wkp", "nodes"}, {"nodes", "wkp"}};
  for (const auto& order : orders) {
    policy.dns64.views[0].prefixes = order;
    run_policy();
    for (const char* name : {"www.example.", "ipv4only.arpa."}) {
      const auto r = ask({.name = name});
      EXPECT_EQ(r.answer.size(), 4U);
      for (const auto& line : r.answer) EXPECT_THAT(line, StartsWith(std::string{name} + " 30 AAAA "));
    }
  }
  // A node's prefix that is for others does not shorten it.
  policy.translation_prefixes[1].clients = {Ipv6Prefix::parse("2001:db8:2::/48").value()};
  run_policy();
  EXPECT_THAT(
      ask({.name = "ipv4only.arpa."}).answer,
      ElementsAre("ipv4only.arpa. 600 AAAA 64:ff9b::c000:aa", "ipv4only.arpa. 600 AAAA 64:ff9b::c000:ab"));
}

// RFC 6052 §2.2: the six lengths, each as §2.4 shows it.
TEST_F(QueryTest, AllSixPrefixLengthsSynthesize) {
  policy.translation_prefixes[0].allow_non_global = true;
  for (const auto& row : kSixLengths) {
    policy.translation_prefixes[0].prefix = Ipv6Prefix::parse(row.prefix).value();
    run_policy();
    know(nodata("www.example.", rr::kAaaa));
    know(fact("www.example.", rr::kA, {a("www.example.", "192.0.2.33")}));
    EXPECT_THAT(ask({}).answer, ElementsAre(std::string{"www.example. 300 AAAA "} + row.address));
  }
}

}  // namespace
}  // namespace isthmus::dns64::test
