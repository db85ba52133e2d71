// SPDX-License-Identifier: Apache-2.0
// Rebinding protection: no public name leads a client into the site, by an address, by a hint, or by what
// comes along with the answer.
#include <gmock/gmock.h>

#include "tests/unit/dns64-svc/core/query_lab.hpp"

namespace isthmus::dns64::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST_F(QueryTest, RebindingProtectionWithholdsAddressesInsideTheSite) {
  policy.dns64.views[0].rebinding_protection = true;
  policy.dns64.resolvers[0].zones = {{"corp.", ZoneKind::kForward, {}}};
  auto& prefix = policy.translation_prefixes[0];
  prefix.prefix = Ipv6Prefix::parse("2001:db8:64::/96").value();
  prefix.allow_non_global = true;
  const auto mixed = [&](const std::string& name) {
    know(fact(name, rr::kA, {a(name, "192.168.1.1"), a(name, "198.51.0.33")}));
    know(nodata(name, rr::kAaaa));
  };
  mixed("www.example.");
  mixed("www.corp.");
  EXPECT_THAT(ask({.type = rr::kA}).answer, ElementsAre("www.example. 300 A 198.51.0.33"));
  EXPECT_EQ(last.outcome, Outcome::kRebinding);
  EXPECT_THAT(ask({}).answer, ElementsAre("www.example. 300 AAAA 2001:db8:64::c633:21"));
  EXPECT_EQ(ask({.name = "www.corp.", .type = rr::kA}).answer.size(), 2U) << "a zone of the site";
  EXPECT_EQ(ask({.name = "www.corp."}).answer.size(), 2U);
  for (const char* inside : {"fd00::1", "fe80::1", "::1", "::ffff:10.0.0.1", "2001:db8:64::10.0.0.1"}) {
    cache.flush_all();
    know(fact("www.example.", rr::kAaaa,
              {aaaa("www.example.", inside), aaaa("www.example.", "2001:db8::80")}));
    EXPECT_THAT(ask({}).answer, ElementsAre("www.example. 300 AAAA 2001:db8::80")) << inside;
  }
  EXPECT_EQ(ask({.name = "ipv4only.arpa."}).answer.size(), 2U) << "exempt";
}

// The hints of an HTTPS record.
class RebindingHintsTest : public QueryTest {
 protected:
  RebindingHintsTest() {
    policy.dns64.views[0].rebinding_protection = true;
    policy.dns64.resolvers[0].zones = {{"corp.", ZoneKind::kForward, {}}};
  }
  static std::string param(int key, const Bytes& value) {
    std::string bytes{'\0', static_cast<char>(key), '\0', static_cast<char>(value.size())};
    return bytes.append(value.begin(), value.end());
  }
  static std::string hint(const char* address) {
    const std::string text = address;
    return text.find(':') == std::string::npos ? param(4, rdata_of(rr::kA, text))
                                               : param(6, rdata_of(rr::kAaaa, text));
  }
  // Priority 1, target ".".
  static std::string binding(const std::string& params) { return std::string{"\0\1\0", 3} + params; }
  static Rr https(const std::string& owner, const std::string& rdata) {
    return {Section::kAnswer, owner, rr::kHttps, 300, rdata};
  }
  // The parameters of the only record of an answer; "none" when there is no record.
  std::string params_of(const Asked& asked) {
    const auto r = ask(asked);
    EXPECT_LE(r.answer.size(), 1U);
    if (r.answer.empty()) return "none";
    const auto message = MessageView::parse(std::span{room}.first(last.size)).value();
    auto cursor = message.records();
    const auto record = cursor.next();
    return {record->rdata.begin() + 3, record->rdata.end()};
  }
  const std::string alpn = param(1, {2, 'h', '2'});
};

TEST_F(RebindingHintsTest, HintsInsideTheSiteAreWithheldAndTheRestStays) {
  for (const char* inside : {"10.0.0.1", "192.168.1.1", "127.0.0.1", "169.254.1.1", "fd00::1", "fe80::1",
                             "::1", "::ffff:10.0.0.1", "64:ff9b::10.0.0.1"}) {
    for (const auto type : {rr::kHttps, rr::kSvcb}) {
      cache.flush_all();
      know(fact("www.example.", type,
                {{Section::kAnswer, "www.example.", type, 300, binding(alpn + hint(inside))}}));
      EXPECT_EQ(params_of({.type = type}), alpn) << inside;
      EXPECT_EQ(last.outcome, Outcome::kRebinding) << inside;
    }
  }
  for (const char* outside : {"198.51.0.33", "2001:db8::80", "64:ff9b::198.51.0.33"}) {
    cache.flush_all();
    know(fact("www.example.", rr::kHttps, {https("www.example.", binding(alpn + hint(outside)))}));
    EXPECT_EQ(params_of({.type = rr::kHttps}), alpn + hint(outside));
    EXPECT_EQ(last.outcome, Outcome::kPassed) << outside;
  }
}

TEST_F(RebindingHintsTest, ZonesOfTheSiteAndViewsWithoutProtectionKeepThem) {
  const auto inside = binding(alpn + hint("10.0.0.1") + hint("fd00::1"));
  know(fact("www.corp.", rr::kHttps, {https("www.corp.", inside)}));
  EXPECT_EQ(params_of({.name = "www.corp.", .type = rr::kHttps}), inside.substr(3));
  policy.dns64.views[0].rebinding_protection = false;
  run_policy();
  know(fact("www.example.", rr::kHttps, {https("www.example.", inside)}));
  EXPECT_EQ(params_of({.type = rr::kHttps}), inside.substr(3));
}

TEST_F(RebindingHintsTest, ARecordThatNeedsAHintOrCannotBeReadIsWithheldAndItsNeighboursStay) {
  const auto needs = binding(param(0, {0, 4}) + hint("10.0.0.1"));
  const auto cut = binding(hint("10.0.0.1").substr(0, 7));
  for (const auto& bad : {needs, cut}) {
    cache.flush_all();
    know(fact("www.example.", rr::kHttps, {https("www.example.", bad)}));
    EXPECT_EQ(params_of({.type = rr::kHttps}), "none");
    EXPECT_EQ(last.rcode, rcode::kNoError);
    EXPECT_EQ(last.outcome, Outcome::kRebinding);
    cache.flush_all();
    know(
        fact("www.example.", rr::kHttps, {https("www.example.", bad), https("www.example.", binding(alpn))}));
    EXPECT_EQ(params_of({.type = rr::kHttps}), alpn);
  }
}

// The same for clients that validate, as with A and AAAA: what was signed would lead into the site.
TEST_F(RebindingHintsTest, WhatWasChangedHasNeitherSignatureNorAd) {
  const auto sign = [&](const std::string& params) {
    know(fact(
        "www.example.", rr::kHttps,
        {https("www.example.", binding(params)), {Section::kAnswer, "www.example.", rr::kRrsig, 300, "sig"}},
        Security::kSecure));
  };
  sign(alpn + hint("2001:db8::80"));
  for (const bool cd : {false, true}) {
    const auto whole = ask({.type = rr::kHttps, .cd = cd, .ad = true, .dnssec_ok = true});
    EXPECT_EQ(whole.answer.size(), 2U);
    EXPECT_TRUE(whole.flag(flag::kAd));
  }
  sign(alpn + hint("fd00::1"));
  for (const bool cd : {false, true}) {
    const Asked asked{.type = rr::kHttps, .cd = cd, .ad = true, .dnssec_ok = true};
    EXPECT_EQ(params_of(asked), alpn);
    EXPECT_FALSE(ask(asked).flag(flag::kAd));
    EXPECT_EQ(last.ede, ede::kBlocked);
  }
}

TEST_F(RebindingHintsTest, HintsAreSynthesizedFromWhatIsLeft) {
  policy.dns64.views[0].synthesize_https_hints = true;
  policy.translation_prefixes[0].prefix = Ipv6Prefix::parse("2001:db8:64::/96").value();
  policy.translation_prefixes[0].allow_non_global = true;
  know(nodata("www.example.", rr::kAaaa));
  const auto both = param(4, {10, 0, 0, 1, 198, 51, 0, 33});
  know(fact("www.example.", rr::kHttps, {https("www.example.", binding(alpn + both))}));
  EXPECT_EQ(params_of({.type = rr::kHttps}), alpn + hint("198.51.0.33") + hint("2001:db8:64::c633:21"));
  EXPECT_EQ(last.outcome, Outcome::kRebinding);
  know(fact("www.example.", rr::kHttps, {https("www.example.", binding(alpn + hint("10.0.0.1")))}));
  EXPECT_EQ(params_of({.type = rr::kHttps}), alpn);
  know(fact("www.example.", rr::kHttps, {https("www.example.", binding(alpn + hint("198.51.0.33")))}));
  EXPECT_EQ(params_of({.type = rr::kHttps}), alpn + hint("198.51.0.33") + hint("2001:db8:64::c633:21"));
  EXPECT_EQ(last.outcome, Outcome::kHintsAdded);
}

// RFC 9460 §4.2: who asks for SVCB takes the addresses of its target from there.
TEST_F(RebindingHintsTest, AnAdditionalSectionThatLeadsInsideIsLeftOut) {
  const auto with = [&](const std::string& name, const char* at) {
    know(fact(name, rr::kHttps,
              {https(name, binding(alpn)), {Section::kAdditional, "a.example.", rr::kA, 300, at}}));
    return ask({.name = name, .type = rr::kHttps}).additional;
  };
  EXPECT_THAT(with("www.example.", "198.51.0.33"), ElementsAre("a.example. 300 A 198.51.0.33"));
  EXPECT_THAT(with("www.example.", "10.0.0.1"), IsEmpty());
  EXPECT_THAT(with("www.corp.", "10.0.0.1"), ElementsAre("a.example. 300 A 10.0.0.1"));
}

}  // namespace
}  // namespace isthmus::dns64::test
