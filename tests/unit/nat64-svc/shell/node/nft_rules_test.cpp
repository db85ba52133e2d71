// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/node/nft_rules.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace isthmus::nat64 {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// As nft 1.0.6 writes it, shortened.
constexpr const char* kChains = R"({"nftables": [{"metainfo": {"version": "1.0.6"}},
  {"chain": {"family": "ip", "table": "filter", "name": "FORWARD", "handle": 1, "type": "filter",
             "hook": "forward", "prio": 0, "policy": "drop"}},
  {"chain": {"family": "ip", "table": "filter", "name": "DOCKER", "handle": 2}},
  {"chain": {"family": "ip6", "table": "filter", "name": "FORWARD", "handle": 1, "type": "filter",
             "hook": "forward", "prio": 0, "policy": "accept"}},
  {"chain": {"family": "ip", "table": "filter", "name": "INPUT", "handle": 3, "type": "filter",
             "hook": "input", "prio": 0, "policy": "drop"}},
  {"chain": {"family": "bridge", "table": "b", "name": "f", "handle": 4, "type": "filter",
             "hook": "forward", "prio": 0, "policy": "drop"}}]})";

TEST(NftRules, TheTableMasqueradesThePoolAndEndsWhatComesBackOutOfOurEnd) {
  const auto text =
      own_table({*Ipv4Prefix::parse("169.254.64.0/22"), *Ipv4Prefix::parse("10.9.0.0/24")}, "isth0", "isth1");
  EXPECT_THAT(text, HasSubstr("ip saddr { 169.254.64.0/22, 10.9.0.0/24 } oifname != \"isth0\" masquerade"));
  EXPECT_THAT(text, HasSubstr("fully-random"));
  EXPECT_THAT(text, HasSubstr("iifname \"isth1\" reject with icmpx no-route"));
  EXPECT_THAT(text, HasSubstr("delete table inet isthmus_nat64"));
}

TEST(NftRules, WithoutAPoolNothingIsMasqueraded) {
  EXPECT_THAT(own_table({}, "isth0", "isth1"), Not(HasSubstr("masquerade")));
}

TEST(NftRules, OnlyRoutedForwardChainsThatDropConcernUs) {
  EXPECT_THAT(forward_chains(kChains, Which::kDropping), ElementsAre(NftChain{"ip", "filter", "FORWARD"}));
  EXPECT_EQ(forward_chains(kChains, Which::kAll).size(), 2U);
}

TEST(NftRules, WhatIsNoJsonHasNoChains) {
  for (const auto* text : {"", "{", "[]", "{\"nftables\": [1, {}]}", "{\"nftables\": [{\"chain\": 1}]}"}) {
    EXPECT_THAT(forward_chains(text, Which::kAll), IsEmpty()) << text;
  }
}

TEST(NftRules, OurRulesAreKnownByTheirComment) {
  const auto rules = own_rules(R"({"nftables": [
    {"rule": {"family": "ip", "table": "filter", "chain": "FORWARD", "handle": 7, "comment": "isthmus-nat64"}},
    {"rule": {"family": "ip", "table": "filter", "chain": "FORWARD", "handle": 8, "expr": [{"xt": null}]}},
    {"rule": {"family": "ip", "table": "filter", "chain": "FORWARD", "handle": 9, "comment": "isthmus-nat64"}}]})");
  EXPECT_THAT(rules.handles, ElementsAre("7", "9"));
  EXPECT_TRUE(rules.complete);
  EXPECT_EQ(without_rules({"ip", "filter", "FORWARD"}, {"7"}), "delete rule ip filter FORWARD handle 7\n");
}

}  // namespace
}  // namespace isthmus::nat64
