// SPDX-License-Identifier: Apache-2.0
// RFC 7050, RFC 8880 and reverse names: what is answered here, what leads into in-addr.arpa.
#include <gmock/gmock.h>

#include "tests/unit/dns64-svc/core/query_lab.hpp"

namespace isthmus::dns64::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// RFC 6147 §5.3.1
TEST_F(QueryTest, ReverseNamesUnderThePrefixLeadIntoInAddrArpa) {
  const std::string reverse = "1.2.0.0.3.3.6.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.b.9.f.f.4.6.0.0.ip6.arpa.";
  const auto first = start({.name = reverse, .type = rr::kPtr});
  ASSERT_EQ(first.kind, Step::Kind::kAsk);
  EXPECT_EQ(first.to_resolve()[0].name.to_string(), "33.0.51.198.in-addr.arpa.");
  const auto step =
      query.on_fact(0,
                    fact("33.0.51.198.in-addr.arpa.", rr::kPtr,
                         {{Section::kAnswer, "33.0.51.198.in-addr.arpa.", rr::kPtr, 300, "www.example."}}),
                    context(), room);
  EXPECT_THAT(reply(step).answer, ElementsAre(reverse + " 300 CNAME 33.0.51.198.in-addr.arpa.",
                                              "33.0.51.198.in-addr.arpa. 300 PTR www.example."));
}

TEST_F(QueryTest, OtherReverseNamesPassUntouched) {
  const std::string reverse = "1.2.0.0.3.3.6.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.";
  const auto step = start({.name = reverse, .type = rr::kPtr});
  ASSERT_EQ(step.kind, Step::Kind::kAsk);
  EXPECT_EQ(step.to_resolve()[0].name.to_string(), reverse);
}

// RFC 7050, RFC 8880
TEST_F(QueryTest, Ipv4OnlyArpaIsAnsweredHereInTheClientsPrefix) {
  policy.exclusions.ipv4_destinations = {Ipv4Prefix::parse("192.0.0.0/24").value()};
  const auto aaaa_reply = ask({.name = "ipv4only.arpa."});
  EXPECT_THAT(aaaa_reply.answer, ElementsAre("ipv4only.arpa. 600 AAAA 64:ff9b::c000:aa",
                                             "ipv4only.arpa. 600 AAAA 64:ff9b::c000:ab"));
  EXPECT_THAT(ask({.name = "ipv4only.arpa.", .type = rr::kA}).answer,
              ElementsAre("ipv4only.arpa. 600 A 192.0.0.170", "ipv4only.arpa. 600 A 192.0.0.171"));
  const auto txt = ask({.name = "ipv4only.arpa.", .type = rr::kTxt, .dnssec_ok = true});
  EXPECT_THAT(txt.answer, IsEmpty());
  EXPECT_THAT(txt.authority, ElementsAre("ipv4only.arpa. 600 SOA ipv4only.arpa."));
  EXPECT_EQ(ask({.name = "x.ipv4only.arpa."}).header.rcode(), rcode::kNxDomain);
  EXPECT_THAT(ask({.name = "170.0.0.192.in-addr.arpa.", .type = rr::kPtr}).answer,
              ElementsAre("170.0.0.192.in-addr.arpa. 600 PTR ipv4only.arpa."));
}

// Else answers in a prefix would outlive the time after which it is no longer translated.
TEST_F(QueryTest, WhatIsAnsweredHereLivesNoLongerThanThePolicySays) {
  policy.dns64.limits.max_ttl_seconds = 60;
  EXPECT_THAT(ask({.name = "ipv4only.arpa."}).answer, ElementsAre("ipv4only.arpa. 60 AAAA 64:ff9b::c000:aa",
                                                                  "ipv4only.arpa. 60 AAAA 64:ff9b::c000:ab"));
  EXPECT_THAT(ask({.name = "170.0.0.192.in-addr.arpa.", .type = rr::kPtr}).answer,
              ElementsAre("170.0.0.192.in-addr.arpa. 60 PTR ipv4only.arpa."));
  EXPECT_THAT(ask({.name = "ipv4only.arpa.", .type = rr::kTxt}).authority,
              ElementsAre("ipv4only.arpa. 60 SOA ipv4only.arpa."));
}

// RFC 7050 §8, RFC 8880 §7.1: these names are in no signed zone, so there is nothing that DO and CD could
// check, and nothing that AD could say.
TEST_F(QueryTest, Ipv4OnlyArpaIsSynthesizedForValidatingClientsTooAndNeverHasAd) {
  for (const bool cd : {true, false}) {
    for (const std::uint16_t type : {rr::kAaaa, rr::kA, rr::kTxt, rr::kSoa}) {
      const auto r = ask({.name = "ipv4only.arpa.", .type = type, .cd = cd, .ad = true, .dnssec_ok = true});
      EXPECT_EQ(r.header.rcode(), rcode::kNoError);
      EXPECT_FALSE(r.flag(flag::kAd)) << type;
      EXPECT_EQ(r.answer.size(), type == rr::kTxt ? 0U : type == rr::kSoa ? 1U : 2U);
      if (type == rr::kAaaa) {
        EXPECT_THAT(r.answer, ElementsAre("ipv4only.arpa. 600 AAAA 64:ff9b::c000:aa",
                                          "ipv4only.arpa. 600 AAAA 64:ff9b::c000:ab"));
      }
    }
    for (const char* name : {"x.ipv4only.arpa.", "170.0.0.192.in-addr.arpa."})
      EXPECT_FALSE(
          ask({.name = name, .type = rr::kPtr, .cd = cd, .ad = true, .dnssec_ok = true}).flag(flag::kAd));
  }
}

// RFC 4035 §3.1.4.1: DS belongs to the parent, whose denial says that the delegation is insecure.
TEST_F(QueryTest, TheDsOfASpecialZoneIsAskedOfItsParent) {
  for (const char* zone : {"ipv4only.arpa.", "170.0.0.192.in-addr.arpa."}) {
    query = Query{};
    const auto step = start({.name = zone, .type = rr::kDs, .dnssec_ok = true});
    ASSERT_EQ(step.kind, Step::Kind::kAsk) << zone;
    const auto denial = fact(zone, rr::kDs,
                             {soa(300, 300, "arpa."),
                              {Section::kAuthority, "arpa.", rr::kRrsig, 300, "sig"},
                              {Section::kAuthority, zone, rr::kNsec, 300, "nsec"}},
                             Security::kSecure);
    const auto r = reply(query.on_fact(0, denial, context(), room));
    EXPECT_THAT(r.authority,
                ElementsAre("arpa. 300 SOA ns.example.", "arpa. 300 RRSIG", std::string{zone} + " 300 NSEC"));
    EXPECT_TRUE(r.flag(flag::kAd));
  }
  EXPECT_EQ(ask({.name = "x.ipv4only.arpa.", .type = rr::kDs}).header.rcode(), rcode::kNxDomain);
}

}  // namespace
}  // namespace isthmus::dns64::test
