// SPDX-License-Identifier: Apache-2.0
// RFC 6147 as conversations: what is asked, what is known, what is answered.
#include "dns64-svc/core/query.hpp"

#include <gmock/gmock.h>

#include "tests/unit/dns64-svc/core/query_lab.hpp"

namespace isthmus::dns64::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::StartsWith;

TEST_F(QueryTest, AnIpv4OnlyNameGetsASynthesizedAaaa) {
  know(nodata("www.example.", rr::kAaaa));
  know(fact("www.example.", rr::kA, {a("www.example.", "198.51.0.33")}));
  const auto r = ask({});
  EXPECT_THAT(r.answer, ElementsAre("www.example. 300 AAAA 64:ff9b::c633:21"));
  EXPECT_THAT(r.authority, IsEmpty());
  EXPECT_EQ(last.outcome, Outcome::kSynthesized);
  EXPECT_TRUE(last.from_cache);
  EXPECT_EQ(r.header.id, 0x1234);
  EXPECT_TRUE(r.flag(flag::kRa));
  EXPECT_TRUE(r.flag(flag::kRd));
}

TEST_F(QueryTest, RealAaaaPassUntouched) {
  know(fact("www.example.", rr::kAaaa, {aaaa("www.example.", "2001:db8::80")}));
  EXPECT_THAT(ask({}).answer, ElementsAre("www.example. 300 AAAA 2001:db8::80"));
  EXPECT_EQ(last.outcome, Outcome::kRealAaaa);
}

TEST_F(QueryTest, ANonexistentNameStaysNonexistentEvenWhenAnARecordIsKnown) {
  know(fact("www.example.", rr::kAaaa, {soa()}, Security::kInsecure, rcode::kNxDomain));
  know(fact("www.example.", rr::kA, {a("www.example.", "198.51.0.33")}));
  const auto r = ask({});
  EXPECT_EQ(r.header.rcode(), rcode::kNxDomain);
  EXPECT_THAT(r.answer, IsEmpty());
  EXPECT_THAT(r.authority, ElementsAre("example. 300 SOA ns.example."));
  EXPECT_EQ(last.outcome, Outcome::kNxDomain);
}

TEST_F(QueryTest, WithoutAThereIsTheOriginalEmptyAnswerWithOneSoa) {
  know(nodata("www.example.", rr::kAaaa));
  know(nodata("www.example.", rr::kA));
  const auto r = ask({});
  EXPECT_EQ(r.header.rcode(), rcode::kNoError);
  EXPECT_THAT(r.answer, IsEmpty());
  EXPECT_THAT(r.authority, ElementsAre("example. 300 SOA ns.example."));
  EXPECT_EQ(last.outcome, Outcome::kNoA);
  EXPECT_TRUE(last.is_nodata);
}

TEST_F(QueryTest, NothingKnownAsksForAaaaAndAAtOnceAndAnswersWhenBothCame) {
  const auto first = start({});
  ASSERT_EQ(first.kind, Step::Kind::kAsk);
  ASSERT_EQ(first.to_resolve().size(), 2U);
  EXPECT_EQ(first.to_resolve()[0].type, rr::kAaaa);
  EXPECT_EQ(first.to_resolve()[1].type, rr::kA);
  EXPECT_EQ(first.to_resolve()[1].name.to_string(), "www.example.");
  const auto second =
      query.on_fact(1, fact("www.example.", rr::kA, {a("www.example.", "198.51.0.33")}), context(), room);
  EXPECT_EQ(second.kind, Step::Kind::kWait);
  const auto third = query.on_fact(0, nodata("www.example.", rr::kAaaa), context(), room);
  EXPECT_THAT(reply(third).answer, ElementsAre("www.example. 300 AAAA 64:ff9b::c633:21"));
  EXPECT_FALSE(third.from_cache);
}

TEST_F(QueryTest, ARealAaaaIsAnsweredWithoutWaitingForA) {
  (void)start({});
  const auto step = query.on_fact(0, fact("www.example.", rr::kAaaa, {aaaa("www.example.", "2001:db8::80")}),
                                  context(), room);
  EXPECT_THAT(reply(step).answer, ElementsAre("www.example. 300 AAAA 2001:db8::80"));
}

TEST_F(QueryTest, AFactOfAnotherNameOrTypeIsNoAnswer) {
  for (const char* name : {"ww.example.", "xxx.example."}) {
    query = Query{};
    (void)start({.type = rr::kA});
    const auto step = query.on_fact(0, fact(name, rr::kA, {a(name, "198.51.0.33")}), context(), room);
    EXPECT_EQ(reply(step).header.rcode(), rcode::kServFail);
  }
}

// RFC 6147 §5.1.7
TEST_F(QueryTest, TtlIsTheSmallestOfANegativeAaaaAndChain) {
  struct Row {
    const char* why;
    std::uint32_t a, negative, chain, want;
  };
  const Row rows[] = {
      {"A is smallest", 60, 300, 900, 60},
      {"the negative answer's TTL caps", 5000, 70, 900, 70},
      {"the chain's TTL caps", 5000, 3000, 40, 40},
  };
  for (const auto& row : rows) {
    cache.flush_all();
    know(nodata("www.example.", rr::kAaaa, row.negative));
    know(fact("www.example.", rr::kA,
              {cname("www.example.", "web.example.", row.chain), a("web.example.", "198.51.0.33", row.a)}));
    const auto r = ask({});
    EXPECT_THAT(r.answer, ElementsAre("www.example. " + std::to_string(row.chain) + " CNAME web.example.",
                                      "web.example. " + std::to_string(row.want) + " AAAA 64:ff9b::c633:21"))
        << row.why;
  }
}

TEST_F(QueryTest, WithoutSoaTheTtlIsAtMost600) {
  (void)start({});
  (void)query.on_fact(0, fact("www.example.", rr::kAaaa, {}), context(), room);
  const auto step = query.on_fact(1, fact("www.example.", rr::kA, {a("www.example.", "198.51.0.33", 5000)}),
                                  context(), room);
  EXPECT_THAT(reply(step).answer, ElementsAre("www.example. 600 AAAA 64:ff9b::c633:21"));
}

TEST_F(QueryTest, TtlsCountDown) {
  know(nodata("www.example.", rr::kAaaa, 200));
  know(fact("www.example.", rr::kA, {a("www.example.", "198.51.0.33", 300)}));
  EXPECT_THAT(ask({}, after(150)).answer, ElementsAre("www.example. 50 AAAA 64:ff9b::c633:21"));
}

// Limits that are lowered hold for what was kept before, too.
// RFC 6147 §5.1.4
TEST_F(QueryTest, OneExcludedAaaaDoesNotKillTheOthers) {
  know(fact("www.example.", rr::kAaaa,
            {aaaa("www.example.", "::ffff:192.0.2.1"), aaaa("www.example.", "2001:db8::80")}));
  EXPECT_THAT(ask({}).answer, ElementsAre("www.example. 300 AAAA 2001:db8::80"));
}

TEST_F(QueryTest, OnlyExcludedAaaaCountAsNone) {
  know(fact("www.example.", rr::kAaaa, {aaaa("www.example.", "::ffff:192.0.2.1", 50)}));
  know(fact("www.example.", rr::kA, {a("www.example.", "198.51.0.33")}));
  EXPECT_THAT(ask({}).answer, ElementsAre("www.example. 50 AAAA 64:ff9b::c633:21"));
  EXPECT_EQ(last.outcome, Outcome::kSynthesizedExcludedAaaa);
}

TEST_F(QueryTest, ExcludedAaaaAreNotHandedOutWhenThereIsNoAEither) {
  know(fact("www.example.", rr::kAaaa, {aaaa("www.example.", "::ffff:192.0.2.1")}));
  know(nodata("www.example.", rr::kA));
  const auto r = ask({});
  EXPECT_THAT(r.answer, IsEmpty());
  EXPECT_THAT(r.authority, ElementsAre("example. 300 SOA ns.example."));
}

// RFC 6147 §5.1.2, §5.1.3
TEST_F(QueryTest, WhenAaaaFailsAIsUsedForAShortTime) {
  (void)start({});
  (void)query.on_failure(0, ResolveFailure::kServFail, context(), room);
  const auto step = query.on_fact(1, fact("www.example.", rr::kA, {a("www.example.", "198.51.0.33", 5000)}),
                                  context(), room);
  EXPECT_THAT(reply(step).answer, ElementsAre("www.example. 30 AAAA 64:ff9b::c633:21"));
  EXPECT_EQ(step.outcome, Outcome::kSynthesizedAaaaFailed);
}

TEST_F(QueryTest, WhenAaaaFailsAViewMayPassTheError) {
  policy.dns64.views[0].aaaa_failure = AaaaFailure::kPassError;
  (void)start({});
  const auto step = query.on_failure(0, ResolveFailure::kServFail, context(), room);
  EXPECT_EQ(reply(step).header.rcode(), rcode::kServFail);
  EXPECT_EQ(step.outcome, Outcome::kAaaaFailed);
}

TEST_F(QueryTest, TheClientDeadlineGivesServfailWithAnExtendedError) {
  (void)start({.edns = true});
  const auto step = query.on_deadline(Deadline::kClient, context(), room);
  EXPECT_EQ(reply(step).header.rcode(), rcode::kServFail);
  EXPECT_EQ(step.ede, ede::kNoReachableAuthority);
}

TEST_F(QueryTest, TheClientDeadlineGivesAStaleAnswerWhenThereIsOne) {
  know(nodata("www.example.", rr::kAaaa, 100));
  know(fact("www.example.", rr::kA, {a("www.example.", "198.51.0.33", 100)}));
  ASSERT_EQ(start({.edns = true}, after(200)).kind, Step::Kind::kAsk);
  const auto step = query.on_deadline(Deadline::kClient, context(after(202)), room);
  EXPECT_THAT(reply(step).answer, ElementsAre("www.example. 30 AAAA 64:ff9b::c633:21"));
  EXPECT_EQ(step.ede, ede::kStaleAnswer);
}

// RFC 8767 §5
TEST_F(QueryTest, AfterAFailureStaleDataServesAtOnceForHalfAMinute) {
  know(fact("www.example.", rr::kA, {a("www.example.", "198.51.0.33", 100)}));
  ASSERT_EQ(start({.type = rr::kA}, after(200)).kind, Step::Kind::kAsk);
  (void)query.on_failure(0, ResolveFailure::kServFail, context(after(200)), room);
  EXPECT_THAT(ask({.type = rr::kA}, after(229)).answer, ElementsAre("www.example. 30 A 198.51.0.33"));
  EXPECT_TRUE(last.from_cache);
  EXPECT_EQ(last.outcome, Outcome::kStale);
  query = Query{};
  EXPECT_EQ(start({.type = rr::kA}, after(230)).kind, Step::Kind::kAsk);
}

// RFC 6147 §5.3.2
TEST_F(QueryTest, TheAdditionalSectionPassesUnchanged) {
  know(nodata("www.example.", rr::kAaaa));
  know(fact(
      "www.example.", rr::kA,
      {a("www.example.", "198.51.0.33"), {Section::kAdditional, "ns.example.", rr::kA, 300, "198.51.0.53"}}));
  EXPECT_THAT(ask({}).additional, ElementsAre("ns.example. 300 A 198.51.0.53"));
}

TEST_F(QueryTest, WhenAFailsTheAnswerIsAnError) {
  know(nodata("www.example.", rr::kAaaa));
  (void)start({});
  const auto step = query.on_failure(1, ResolveFailure::kServFail, context(), room);
  EXPECT_EQ(reply(step).header.rcode(), rcode::kServFail);
  EXPECT_EQ(step.outcome, Outcome::kAFailed);
}

// RFC 6147 §5.1.5
TEST_F(QueryTest, ChainsKeepTheirOrderAndOwners) {
  know(fact("www.example.", rr::kAaaa,
            {cname("www.example.", "a.example."), cname("a.example.", "b.other."), soa()}));
  // Upstream gives the chain in the wrong order: we do not.
  know(fact(
      "www.example.", rr::kA,
      {a("b.other.", "198.51.0.33"), cname("a.example.", "b.other."), cname("www.example.", "a.example.")}));
  EXPECT_THAT(ask({}).answer,
              ElementsAre("www.example. 300 CNAME a.example.", "a.example. 300 CNAME b.other.",
                          "b.other. 300 AAAA 64:ff9b::c633:21"));
}

TEST_F(QueryTest, ADnameStaysBeforeTheCnameItMakes) {
  know(nodata("www.old.example.", rr::kAaaa));
  know(fact("www.old.example.", rr::kA,
            {{Section::kAnswer, "old.example.", rr::kDname, 300, "new.example."},
             cname("www.old.example.", "www.new.example."),
             a("www.new.example.", "198.51.0.33")}));
  EXPECT_THAT(
      ask({.name = "www.old.example."}).answer,
      ElementsAre("old.example. 300 DNAME new.example.", "www.old.example. 300 CNAME www.new.example.",
                  "www.new.example. 300 AAAA 64:ff9b::c633:21"));
}

// RFC 6672 §2.2: as final as a name that does not exist.
TEST_F(QueryTest, ANameThatADnameMakesTooLongIsYxdomainEvenWhenAnAIsKnown) {
  const Rr dname{Section::kAnswer, "old.example.", rr::kDname, 300, "new.example."};
  know(fact("www.old.example.", rr::kAaaa, {dname}, Security::kInsecure, rcode::kYxDomain));
  know(fact("www.old.example.", rr::kA, {a("www.old.example.", "198.51.0.33")}));
  const auto r = ask({.name = "www.old.example."});
  EXPECT_EQ(r.header.rcode(), rcode::kYxDomain);
  EXPECT_THAT(r.answer, ElementsAre("old.example. 300 DNAME new.example."));
  EXPECT_EQ(last.outcome, Outcome::kNxDomain);
}

TEST_F(QueryTest, TheClientsSpellingComesBack) {
  know(nodata("www.example.", rr::kAaaa));
  know(fact("www.example.", rr::kA, {a("www.example.", "198.51.0.33")}));
  const auto r = ask({.name = "wWw.eXample."});
  EXPECT_EQ(r.question, "wWw.eXample.");
  EXPECT_THAT(r.answer, ElementsAre("wWw.eXample. 300 AAAA 64:ff9b::c633:21"));
}

TEST_F(QueryTest, DomainListsGoByTheLongestMatch) {
  policy.exclusions.never_synthesize = {"example."};
  policy.exclusions.always_synthesize = {"legacy.example."};
  for (const char* name : {"www.example.", "www.legacy.example."}) {
    know(fact(name, rr::kAaaa, {aaaa(name, "2001:db8::80")}));
    know(fact(name, rr::kA, {a(name, "198.51.0.33")}));
  }
  know(nodata("v4.example.", rr::kAaaa));
  know(fact("v4.example.", rr::kA, {a("v4.example.", "198.51.0.33")}));
  EXPECT_THAT(ask({}).answer, ElementsAre("www.example. 300 AAAA 2001:db8::80"));
  EXPECT_THAT(ask({.name = "v4.example."}).answer, IsEmpty());
  EXPECT_EQ(last.outcome, Outcome::kNeverSynthesize);
  EXPECT_THAT(ask({.name = "www.legacy.example."}).answer,
              ElementsAre("www.legacy.example. 300 AAAA 64:ff9b::c633:21"));
  EXPECT_EQ(last.outcome, Outcome::kSynthesizedAlways);
}

TEST_F(QueryTest, AlwaysSynthesizeDoesNotRobClientsThatGetNoSynthesis) {
  policy.exclusions.always_synthesize = {"example."};
  policy.translation_prefixes[0].clients = {Ipv6Prefix::parse("2001:db8:2::/48").value()};
  know(fact("www.example.", rr::kAaaa, {aaaa("www.example.", "2001:db8::80")}));
  EXPECT_EQ(ask({}).answer.size(), 1U);
}

TEST_F(QueryTest, ClientsInNoViewAreRefused) {
  for (const ClientAddress& stranger :
       {ClientAddress{v6("2001:db9::1")}, ClientAddress{Ipv4Address{192, 0, 2, 9}}}) {
    address = stranger;
    const auto r = ask({.edns = true});
    EXPECT_EQ(r.header.rcode(), rcode::kRefused);
    EXPECT_EQ(last.outcome, Outcome::kNoView);
    EXPECT_EQ(last.ede, ede::kProhibited);
  }
}

TEST_F(QueryTest, AViewForEveryIpv6ClientDoesNotServeIpv4Clients) {
  policy.dns64.views[0].clients = {IpPrefix{Ipv6Prefix{}}};
  address = Ipv4Address{192, 0, 2, 9};
  EXPECT_EQ(ask({}).header.rcode(), rcode::kRefused);
}

TEST_F(QueryTest, ClientsOutsideThePrefixsClientsGetNoSynthesis) {
  policy.translation_prefixes[0].clients = {Ipv6Prefix::parse("2001:db8:2::/48").value()};
  know(nodata("www.example.", rr::kAaaa));
  know(fact("www.example.", rr::kA, {a("www.example.", "198.51.0.33")}));
  EXPECT_THAT(ask({}).answer, IsEmpty());
  EXPECT_EQ(last.outcome, Outcome::kNoPrefix);
}

TEST_F(QueryTest, AnyGetsAMinimalAnswer) {
  const auto r = ask({.type = rr::kAny});
  EXPECT_THAT(r.answer, ElementsAre("www.example. 3600 TYPE13 9"));
  EXPECT_EQ(last.outcome, Outcome::kAnyRefused);
}

TEST_F(QueryTest, WhatIsNoQuestionToAResolverGetsItsError) {
  EXPECT_EQ(ask({.klass = 3}).header.rcode(), rcode::kNotImp);
  EXPECT_EQ(ask({.type = rr::kAxfr}).header.rcode(), rcode::kNotImp);
  const auto badvers = ask({.edns = true, .version = 1});
  EXPECT_EQ(badvers.header.rcode() | badvers.opt_ttl >> 24 << 4, rcode::kBadVers);
  EXPECT_EQ(ask({.edns = true, .options = {0, 10, 0, 9, 1}}).header.rcode(), rcode::kFormErr);
}

TEST_F(QueryTest, OtherOpcodesGetNotimpAndResponsesNothing) {
  run_policy();
  auto bytes = request({});
  bytes[2] = 0x28;  // UPDATE
  const auto step = query.start(bytes, client, context(), room);
  EXPECT_EQ(reply(step).header.rcode(), rcode::kNotImp);
  bytes[2] = 0x80;
  const auto answer = query.start(bytes, client, context(), room);
  EXPECT_EQ(answer.kind, Step::Kind::kDrop);
  EXPECT_EQ(answer.drop, DropReason::kNotAQuery);
  const auto rest = query.start(std::span{bytes}.first(11), client, context(), room);
  EXPECT_EQ(rest.drop, DropReason::kTooShort);
}

TEST_F(QueryTest, RepliesThatDoNotFitAreTruncatedToTheQuestion) {
  std::vector<Rr> many;
  for (int i = 0; i < 60; ++i) many.push_back(a("www.example.", "198.51.7." + std::to_string(i + 1)));
  know(fact("www.example.", rr::kA, many));
  know(nodata("www.example.", rr::kAaaa));
  for (const std::uint16_t type : {rr::kA, rr::kAaaa}) {
    const auto r = ask({.type = type});
    EXPECT_TRUE(r.flag(flag::kTc));
    EXPECT_FALSE(last.is_nodata);
    EXPECT_THAT(r.answer, IsEmpty());
    EXPECT_LE(last.size, 512U);
  }
  client.transport = Transport::kTcp;
  EXPECT_EQ(ask({}).answer.size(), 60U);
}

TEST_F(QueryTest, PopularFactsAreRefreshedOnceBeforeTheyExpire) {
  know(fact("www.example.", rr::kA, {a("www.example.", "198.51.0.33", 100)}));
  for (int i = 0; i < 4; ++i) EXPECT_EQ((ask({.type = rr::kA}), last.ask_count), 0) << i;
  (void)ask({.type = rr::kA}, after(95));
  ASSERT_EQ(last.to_resolve().size(), 1U);
  EXPECT_EQ(last.to_resolve()[0].type, rr::kA);
  EXPECT_EQ(last.to_resolve()[0].refresh_ttl, 100U);
  (void)ask({.type = rr::kA}, after(96));
  EXPECT_EQ(last.to_resolve().size(), 0U);
}

TEST_F(QueryTest, ExplainNamesTheSections) {
  know(nodata("www.example.", rr::kAaaa));
  know(fact("www.example.", rr::kA, {a("www.example.", "198.51.0.33")}));
  run_policy();
  Trace trace;
  auto with_trace = context();
  with_trace.trace = &trace;
  client.address = kClient;
  (void)query.start(request({}), client, with_trace, room);
  ASSERT_FALSE(trace.empty());
  EXPECT_EQ(trace.back().section, "RFC 6147 §5.1.7");
}

TEST_F(QueryTest, ARefreshIsClaimedByTheReplyThatCarriesIt) {
  const auto known = nodata("www.example.", rr::kAaaa);
  know(known);
  for (int i = 0; i < 3; ++i) known->touch();
  EXPECT_EQ(start({}, after(295)).kind, Step::Kind::kAsk) << "A";
  know(fact("www.example.", rr::kA, {a("www.example.", "198.51.0.33")}));
  (void)ask({}, after(295));
  ASSERT_EQ(last.to_resolve().size(), 1U);
  EXPECT_EQ(last.to_resolve()[0].type, rr::kAaaa);
}

}  // namespace
}  // namespace isthmus::dns64::test
