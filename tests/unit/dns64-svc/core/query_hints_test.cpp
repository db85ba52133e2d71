// SPDX-License-Identifier: Apache-2.0
// Synthesized ipv6hint in HTTPS and SVCB records.
#include <gmock/gmock.h>

#include "tests/unit/dns64-svc/core/query_lab.hpp"

namespace isthmus::dns64::test {
namespace {

// priority 1, target ".", then parameters in ascending order of key.
std::string binding(const std::string& parameters) {
  return std::string{"\0\1\0", 3} + parameters;
}
const std::string kAlpn{"\0\1\0\3\2h2", 7};
const std::string kHint4{"\0\4\0\4\306\63\0\41", 8};  // ipv4hint=198.51.0.33
const std::string kEch{"\377\0\0\1x", 5};

TEST_F(QueryTest, HttpsRecordsGetAnIpv6HintWhenTheViewAsksForIt) {
  know(fact("www.example.", rr::kHttps,
            {{Section::kAnswer, "www.example.", rr::kHttps, 300, binding(kAlpn + kHint4 + kEch)}},
            Security::kSecure));
  know(nodata("www.example.", rr::kAaaa));
  (void)ask({.type = rr::kHttps});
  EXPECT_EQ(last.outcome, Outcome::kPassed);
  policy.dns64.views[0].synthesize_https_hints = true;
  run_policy();
  const auto r = ask({.type = rr::kHttps, .ad = true});
  EXPECT_EQ(last.outcome, Outcome::kHintsAdded);
  EXPECT_FALSE(r.flag(flag::kAd));
  const auto hint6 = std::string{"\0\6\0\20\0\144\377\233\0\0\0\0\0\0\0\0\306\63\0\41", 20};
  const auto want = binding(kAlpn + kHint4 + hint6 + kEch);
  const std::string all(room.begin(), room.begin() + static_cast<std::ptrdiff_t>(last.size));
  EXPECT_NE(all.find(want), std::string::npos) << "between ipv4hint and the later key";
  (void)ask({.type = rr::kHttps, .cd = true, .dnssec_ok = true});
  EXPECT_EQ(last.outcome, Outcome::kPassed) << "a client that validates gets what was signed";
}

// The ipv6hints that ipv4hint=198.51.0.33,10.0.0.1 becomes, as the bytes of their parameter.
TEST_F(QueryTest, HintsFollowTheRulesOfAddresses) {
  policy.dns64.views[0].synthesize_https_hints = true;
  const std::string two{"\0\4\0\10\306\63\0\41\12\0\0\1", 12};
  know(fact("www.example.", rr::kHttps, {{Section::kAnswer, "www.example.", rr::kHttps, 300, binding(two)}}));
  know(nodata("www.example.", rr::kAaaa));
  const auto holds = [&](const std::string& hint6) {
    (void)ask({.type = rr::kHttps});
    const std::string all(room.begin(), room.begin() + static_cast<std::ptrdiff_t>(last.size));
    return all.find(two + hint6) != std::string::npos;
  };
  const std::string wkp{"\0\144\377\233\0\0\0\0\0\0\0\0\306\63\0\41", 16};
  EXPECT_TRUE(holds(std::string{"\0\6\0\20", 4} + wkp)) << "10.0.0.1 is not global (RFC 6052 §3.1)";
  auto own = policy.translation_prefixes[0];
  own.name = "own";
  own.prefix = Ipv6Prefix::parse("2001:db8:64::/96").value();
  policy.translation_prefixes.push_back(own);
  policy.dns64.views[0].prefixes = {"wkp", "own"};
  run_policy();
  const std::string second{"\40\1\15\270\0\144\0\0\0\0\0\0\306\63\0\41", 16};
  EXPECT_TRUE(holds(std::string{"\0\6\0\40", 4} + wkp + second)) << "each prefix";
  policy.exclusions.ipv4_destinations = {Ipv4Prefix::parse("198.51.0.0/24").value()};
  run_policy();
  (void)ask({.type = rr::kHttps});
  EXPECT_EQ(last.outcome, Outcome::kPassed) << "excluded";
}

TEST_F(QueryTest, HintsLiveNoLongerThanThePolicyThatRunsAllows) {
  policy.dns64.views[0].synthesize_https_hints = true;
  know(fact("www.example.", rr::kHttps,
            {{Section::kAnswer, "www.example.", rr::kHttps, 7200, binding(kHint4)}}));
  know(nodata("www.example.", rr::kAaaa, 3600));
  policy.dns64.limits.max_ttl_seconds = 60;
  (void)ask({.type = rr::kHttps});
  EXPECT_EQ(last.outcome, Outcome::kHintsAdded);
  EXPECT_EQ(last.ttl, 60U);
}

TEST_F(QueryTest, PerNodeHintsLiveNoLongerThanSteeringTtl) {
  policy.dns64.views[0].synthesize_https_hints = true;
  auto& prefix = policy.translation_prefixes[0];
  prefix.prefix = Ipv6Prefix::parse("2001:db8:64::/48").value();
  prefix.assignment = Assignment::kPerNode;
  healthy.nodes.push_back({"n1", {{"wkp", Pref64::parse("2001:db8:64:1::/96").value(), "n1"}}});
  know(fact("www.example.", rr::kHttps,
            {{Section::kAnswer, "www.example.", rr::kHttps, 300, binding(kHint4)}}));
  know(nodata("www.example.", rr::kAaaa));
  (void)ask({.type = rr::kHttps});
  EXPECT_EQ(last.outcome, Outcome::kHintsAdded);
  EXPECT_EQ(last.ttl, 30U);
}

TEST_F(QueryTest, HttpsRecordsOfTargetsWithAaaaOrBrokenOnesStayAsTheyAre) {
  policy.dns64.views[0].synthesize_https_hints = true;
  know(fact("www.example.", rr::kAaaa, {aaaa("www.example.", "2001:db8::80")}));
  know(nodata("v4.example.", rr::kAaaa));
  const auto outcome_of = [&](const std::string& name, const std::string& data) {
    know(fact(name, rr::kHttps, {{Section::kAnswer, name, rr::kHttps, 300, data}}));
    (void)ask({.name = name, .type = rr::kHttps});
    return last.outcome;
  };
  EXPECT_EQ(outcome_of("www.example.", binding(kHint4)), Outcome::kPassed);
  EXPECT_EQ(outcome_of("v4.example.", binding(kAlpn)), Outcome::kPassed) << "no ipv4hint";
  EXPECT_EQ(outcome_of("v4.example.", std::string{"\0\0\0", 3} + kHint4), Outcome::kPassed) << "AliasMode";
  EXPECT_EQ(outcome_of("v4.example.", binding(kHint4.substr(0, 7))), Outcome::kPassed) << "cut";
  EXPECT_EQ(outcome_of("v4.example.", binding(kHint4)), Outcome::kHintsAdded);
}

TEST_F(QueryTest, NeverSynthesizeCountsAtTheEndOfTheTargetsChainToo) {
  policy.dns64.views[0].synthesize_https_hints = true;
  know(fact("www.example.", rr::kHttps,
            {{Section::kAnswer, "www.example.", rr::kHttps, 300, binding(kHint4)}}));
  know(fact("www.example.", rr::kAaaa, {cname("www.example.", "end.other."), soa(300, 300, "other.")}));
  (void)ask({.type = rr::kHttps});
  EXPECT_EQ(last.outcome, Outcome::kHintsAdded);
  policy.exclusions.never_synthesize = {"other"};
  run_policy();
  (void)ask({.type = rr::kHttps});
  EXPECT_EQ(last.outcome, Outcome::kPassed);
}

}  // namespace
}  // namespace isthmus::dns64::test
