// SPDX-License-Identifier: Apache-2.0
// RFC 6147 §5.5: what was validated, what failed, and what a client that asks for proofs gets.
#include <gmock/gmock.h>

#include "tests/unit/dns64-svc/core/query_lab.hpp"

namespace isthmus::dns64::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// RFC 6147 §5.5
TEST_F(QueryTest, DnssecRules) {
  struct Row {
    const char* why;
    Security aaaa, a;
    bool dnssec_ok, cd, ad;
    bool want_synthesis, want_ad;
    std::uint16_t want_rcode = rcode::kNoError;
  };
  const auto S = Security::kSecure, I = Security::kInsecure, B = Security::kBogus;
  const Row rows[] = {
      {"DO and CD: the client validates", S, S, true, true, false, false, true},
      {"DO alone, all secure: AD", S, S, true, false, false, true, true},
      {"AD asked, all secure: AD", S, S, false, false, true, true, true},
      {"neither asked: no AD", S, S, false, false, false, true, false},
      {"insecure denial: no AD", I, S, true, false, false, true, false},
      {"insecure A: no AD", S, I, true, false, false, true, false},
      {"CD alone may be synthesized", I, I, false, true, false, true, false},
      {"bogus denial", B, I, false, false, false, false, false, rcode::kServFail},
      {"bogus denial, CD: the data as it is", B, I, false, true, false, false, false},
      {"bogus A", I, B, true, false, false, false, false, rcode::kServFail},
      {"bogus A, CD: the empty AAAA answer", I, B, false, true, false, false, false},
  };
  for (const auto& row : rows) {
    cache.flush_all();
    know(nodata("www.example.", rr::kAaaa, 300, row.aaaa));
    know(fact("www.example.", rr::kA, {a("www.example.", "198.51.0.33")}, row.a));
    const auto r = ask({.cd = row.cd, .ad = row.ad, .dnssec_ok = row.dnssec_ok});
    EXPECT_EQ(r.header.rcode(), row.want_rcode) << row.why;
    EXPECT_EQ(r.answer.size(), row.want_synthesis ? 1U : 0U) << row.why;
    EXPECT_EQ(r.flag(flag::kAd), row.want_ad) << row.why;
    EXPECT_EQ(r.flag(flag::kCd), row.cd) << row.why;
  }
}

TEST_F(QueryTest, BogusAaaaPassWithCdButForThoseThatAreWithheld) {
  policy.dns64.views[0].rebinding_protection = true;
  know(fact("www.example.", rr::kAaaa,
            {aaaa("www.example.", "::ffff:192.0.2.1"), aaaa("www.example.", "fd00::1"),
             aaaa("www.example.", "2001:db8::80")},
            Security::kBogus));
  EXPECT_THAT(ask({.cd = true}).answer, ElementsAre("www.example. 300 AAAA 2001:db8::80"));
  EXPECT_EQ(ask({}).header.rcode(), rcode::kServFail);
}

TEST_F(QueryTest, SynthesizedAnswersCarryNoSignaturesOrProofs) {
  know(fact("www.example.", rr::kAaaa,
            {soa(),
             {Section::kAuthority, "example.", rr::kRrsig, 300, "sig"},
             {Section::kAuthority, "www.example.", rr::kNsec, 300, "nsec"}},
            Security::kSecure));
  know(fact("www.example.", rr::kA,
            {a("www.example.", "198.51.0.33"), {Section::kAnswer, "www.example.", rr::kRrsig, 300, "sig"}},
            Security::kSecure));
  const auto r = ask({.dnssec_ok = true});
  EXPECT_THAT(r.answer, ElementsAre("www.example. 300 AAAA 64:ff9b::c633:21"));
  EXPECT_THAT(r.authority, IsEmpty());
  EXPECT_EQ(last.ede, ede::kSynthesized);
}

// RFC 8767 §4: a refresh that fails validation is a failed refresh. What was good serves on, the spoiled data
// goes to those who asked for unchecked data.
TEST_F(QueryTest, WhenARefreshIsBogusTheOldAnswerServesStaleAndTheBogusDataOnlyWithCd) {
  const auto bogus =
      fact("www.example.", rr::kA, {a("www.example.", "198.51.0.66")}, Security::kBogus, 0, after(200));
  for (const bool cd : {false, true}) {
    cache.flush_all();
    query = Query{};
    know(fact("www.example.", rr::kA, {a("www.example.", "198.51.0.33", 100)}, Security::kSecure));
    const Asked asked{.type = rr::kA, .cd = cd, .ad = true, .edns = true};
    ASSERT_EQ(start(asked, after(200)).kind, Step::Kind::kAsk);
    cache.insert(bogus, after(200));
    const auto step = query.on_fact(0, bogus, context(after(200)), room);
    const auto r = reply(step);
    EXPECT_THAT(r.answer,
                ElementsAre(cd ? "www.example. 300 A 198.51.0.66" : "www.example. 30 A 198.51.0.33"));
    EXPECT_FALSE(r.flag(flag::kAd));
    EXPECT_EQ(step.ede, cd ? ede::kNone : ede::kStaleAnswer);
    if (cd) continue;
    EXPECT_THAT(ask(asked, after(229)).answer, ElementsAre("www.example. 30 A 198.51.0.33"))
        << "at once for half a minute";
    EXPECT_TRUE(last.from_cache);
  }
}

TEST_F(QueryTest, WithoutAnOlderAnswerBogusDataStaysAnError) {
  ASSERT_EQ(start({.type = rr::kA, .edns = true}).kind, Step::Kind::kAsk);
  const auto step = query.on_fact(
      0, fact("www.example.", rr::kA, {a("www.example.", "198.51.0.66")}, Security::kBogus), context(), room);
  EXPECT_EQ(reply(step).header.rcode(), rcode::kServFail);
  EXPECT_EQ(step.ede, ede::kDnssecBogus);
}

// RFC 6147 §5.1.4: the NSEC that denies A says that there are AAAA, which the answer is without.
TEST_F(QueryTest, ADenialOfAInPlaceOfWithheldAaaaCarriesNoProofAndNoAd) {
  struct Row {
    const char *why, *name, *address;
  };
  policy.exclusions.always_synthesize = {"legacy.example."};
  for (const auto& row : {Row{"excluded", "www.example.", "::ffff:192.0.2.1"},
                          Row{"always_synthesize", "www.legacy.example.", "2001:db8::80"}}) {
    know(fact(row.name, rr::kAaaa,
              {cname(row.name, "web.example."),
               aaaa("web.example.", row.address),
               {Section::kAnswer, row.name, rr::kRrsig, 300, "sig"},
               {Section::kAnswer, "web.example.", rr::kRrsig, 300, "sig"}},
              Security::kSecure));
    know(fact(row.name, rr::kA,
              {cname(row.name, "web.example."),
               {Section::kAnswer, row.name, rr::kRrsig, 300, "sig"},
               soa(),
               {Section::kAuthority, "example.", rr::kRrsig, 300, "sig"},
               {Section::kAuthority, "web.example.", rr::kNsec, 300, "nsec"}},
              Security::kSecure));
    const auto r = ask({.name = row.name, .ad = true, .dnssec_ok = true});
    EXPECT_EQ(r.header.rcode(), rcode::kNoError) << row.why;
    EXPECT_THAT(r.answer, ElementsAre(std::string{row.name} + " 300 CNAME web.example.")) << row.why;
    EXPECT_THAT(r.authority, ElementsAre("example. 300 SOA ns.example.")) << row.why;
    EXPECT_FALSE(r.flag(flag::kAd)) << row.why;
    EXPECT_EQ(last.outcome, Outcome::kNoA) << row.why;
    EXPECT_TRUE(ask({.name = row.name, .type = rr::kA, .ad = true}).flag(flag::kAd)) << "asked for itself";
  }
}

TEST_F(QueryTest, SignaturesAndProofsGoOnlyToClientsThatSetDo) {
  know(fact("www.example.", rr::kA,
            {a("www.example.", "198.51.0.33"), {Section::kAnswer, "www.example.", rr::kRrsig, 300, "sig"}}));
  know(fact("none.example.", rr::kA,
            {soa(),
             {Section::kAuthority, "example.", rr::kRrsig, 300, "sig"},
             {Section::kAuthority, "a.example.", rr::kNsec, 300, "nsec"}},
            Security::kSecure, rcode::kNxDomain));
  EXPECT_THAT(ask({.type = rr::kA}).answer, ElementsAre("www.example. 300 A 198.51.0.33"));
  EXPECT_THAT(ask({.type = rr::kA, .dnssec_ok = true}).answer,
              ElementsAre("www.example. 300 A 198.51.0.33", "www.example. 300 RRSIG"));
  EXPECT_THAT(ask({.name = "none.example.", .type = rr::kA}).authority,
              ElementsAre("example. 300 SOA ns.example."));
  EXPECT_THAT(ask({.name = "none.example.", .type = rr::kA, .dnssec_ok = true}).authority,
              ElementsAre("example. 300 SOA ns.example.", "example. 300 RRSIG", "a.example. 300 NSEC"));
}

}  // namespace
}  // namespace isthmus::dns64::test
