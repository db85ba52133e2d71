// SPDX-License-Identifier: Apache-2.0
// RFC 6147 as conversations: what is asked, what is known, what is answered.
#include "dns64-svc/core/query.hpp"

#include <gmock/gmock.h>

#include <map>

#include "tests/unit/dns64-svc/core/query_lab.hpp"

namespace isthmus::dns64::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

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

// RFC 7830, RFC 8467 §4.1
TEST_F(QueryTest, EncryptedRepliesArePaddedWhenTheClientPads) {
  know(fact("www.example.", rr::kA, {a("www.example.", "198.51.0.33")}));
  client.transport = Transport::kTls;
  (void)ask({.type = rr::kA, .edns = true, .options = {0, 12, 0, 0}});
  EXPECT_EQ(last.size, 468U);
  (void)ask({.type = rr::kA, .edns = true});
  EXPECT_LT(last.size, 100U);
}

TEST_F(QueryTest, ClientsThatSendACookieGetOneBack) {
  const CookieJar jar{CookieSecret{1, 2, 3}};
  run_policy();
  auto with_cookies = context();
  with_cookies.cookies = &jar;
  with_cookies.wall_seconds = 1700000000;
  client.address = kClient;
  const Bytes option{0, 10, 0, 8, 9, 8, 7, 6, 5, 4, 3, 2};
  const auto r = reply(
      query.start(request({.type = rr::kAny, .edns = true, .options = option}), client, with_cookies, room));
  ASSERT_EQ(r.opt_data.size(), 28U);
  EXPECT_EQ(jar.check(std::span{r.opt_data}.subspan(4), kClient, 1700000000), CookieVerdict::kValid);
}

// RFC 7873 §5.2.3, RFC 9018.
TEST_F(QueryTest, AValidCookieProvesTheAddressAndAStreamDoesToo) {
  const CookieJar jar{CookieSecret{1, 2, 3}};
  run_policy();
  auto with_cookies = context();
  with_cookies.cookies = &jar;
  client.address = kClient;
  const Bytes client_cookie{9, 8, 7, 6, 5, 4, 3, 2};
  const auto baked = jar.bake(client_cookie, kClient, 0);
  Bytes option{0, 10, 0, 24};
  option.insert(option.end(), baked.begin(), baked.end());
  (void)query.start(request({.type = rr::kAny, .edns = true, .options = option}), client, with_cookies, room);
  EXPECT_TRUE(query.is_proven());
  option.back() ^= 1;
  Query forged;
  (void)forged.start(request({.type = rr::kAny, .edns = true, .options = option}), client, with_cookies,
                     room);
  EXPECT_FALSE(forged.is_proven());
  Query plain;
  (void)plain.start(request({.type = rr::kAny}), client, with_cookies, room);
  EXPECT_FALSE(plain.is_proven());
  client.transport = Transport::kTcp;
  Query stream;
  (void)stream.start(request({.type = rr::kAny}), client, with_cookies, room);
  EXPECT_TRUE(stream.is_proven());
}

TEST_F(QueryTest, ASlippedReplyIsBadCookieToThoseWhoSpeakCookiesAndTruncatedToOthers) {
  const CookieJar jar{CookieSecret{1, 2, 3}};
  run_policy();
  auto with_cookies = context();
  with_cookies.cookies = &jar;
  client.address = kClient;
  const Bytes option{0, 10, 0, 8, 9, 8, 7, 6, 5, 4, 3, 2};
  (void)query.start(request({.type = rr::kAny, .edns = true, .options = option}), client, with_cookies, room);
  const auto bad_cookie = query.slip(with_cookies, room);
  EXPECT_EQ(bad_cookie.outcome, Outcome::kBadCookie);
  auto r = reply(bad_cookie);
  EXPECT_EQ(r.header.rcode() | (r.opt_ttl >> 24 << 4), rcode::kBadCookie);
  EXPECT_EQ(jar.check(std::span{r.opt_data}.subspan(4), kClient, 0), CookieVerdict::kValid);
  Query plain;
  (void)plain.start(request({.type = rr::kAny}), client, with_cookies, room);
  const auto slipped = plain.slip(with_cookies, room);
  EXPECT_EQ(slipped.outcome, Outcome::kSlipped);
  r = reply(slipped);
  EXPECT_TRUE(r.flag(flag::kTc));
  EXPECT_THAT(r.answer, IsEmpty());
}

// RFC 7828 §3.2.
TEST_F(QueryTest, TheIdleTimeoutIsToldOverStreamsToThoseWhoAsk) {
  const Bytes keepalive{0, 11, 0, 0};
  client.idle_timeout = 100;
  client.transport = Transport::kTcp;
  EXPECT_THAT(ask({.type = rr::kAny, .edns = true, .options = keepalive}).opt_data,
              ElementsAre(0, 11, 0, 2, 0, 100));
  EXPECT_THAT(ask({.type = rr::kAny, .edns = true}).opt_data, IsEmpty());
  client.transport = Transport::kUdp;
  EXPECT_THAT(ask({.type = rr::kAny, .edns = true, .options = keepalive}).opt_data, IsEmpty());
  client.transport = Transport::kTcp;
  EXPECT_EQ(ask({.type = rr::kAny, .edns = true, .options = {0, 11, 0, 2, 0, 1}}).header.rcode(),
            rcode::kFormErr);
}

// RFC 7871: what a listed forwarder says of its client counts, what anybody else says does not.
TEST_F(QueryTest, TheSubnetThatAListedForwarderNamesIsTheClient) {
  policy.dns64.views[0].clients = {IpPrefix{Ipv6Prefix::parse("2001:db8:1::/48").value()}};
  run_policy();
  const auto forwarders = AddressList::parse({"2001:db8:ffff::53"}).value();
  auto trusting = context();
  trusting.forwarders = &forwarders;
  const Bytes subnet{0, 8, 0, 10, 0, 2, 48, 0, 0x20, 1, 0x0d, 0xb8, 0, 1};
  const auto ask_from = [&](const char* sender, const Bytes& options) {
    Query one;
    client.address = v6(sender);
    return reply(
        one.start(request({.type = rr::kAny, .edns = true, .options = options}), client, trusting, room));
  };
  const auto answered = ask_from("2001:db8:ffff::53", subnet);
  EXPECT_EQ(answered.header.rcode(), rcode::kNoError);
  // §7.2.1: the same subnet, and the scope that the answer is good for.
  EXPECT_THAT(answered.opt_data, ElementsAre(0, 8, 0, 10, 0, 2, 48, 48, 0x20, 1, 0x0d, 0xb8, 0, 1));
  // The forwarder's own address is in no view; nor is anybody else's word taken.
  EXPECT_EQ(ask_from("2001:db8:ffff::53", {}).header.rcode(), rcode::kRefused);
  EXPECT_EQ(ask_from("2001:db8:ffff::54", subnet).header.rcode(), rcode::kRefused);
  // §7.1.2: "do not tell" leaves the forwarder itself.
  EXPECT_EQ(ask_from("2001:db8:ffff::53", {0, 8, 0, 4, 0, 2, 0, 0}).header.rcode(), rcode::kRefused);
  EXPECT_THAT(ask_from("2001:db8:1::1", subnet).opt_data, IsEmpty());
}

TEST_F(QueryTest, AMalformedClientSubnetIsAFormatError) {
  const std::vector<Bytes> wrong{{0, 8, 0, 3, 0, 1, 0},                    // too short
                                 {0, 8, 0, 6, 0, 1, 24, 0, 192, 0},        // fewer bytes than the length says
                                 {0, 8, 0, 8, 0, 1, 24, 0, 192, 0, 2, 1},  // more
                                 {0, 8, 0, 7, 0, 1, 23, 0, 192, 0, 3},     // a bit beyond the length
                                 {0, 8, 0, 7, 0, 1, 24, 24, 192, 0, 2},    // a scope in a query
                                 {0, 8, 0, 9, 0, 1, 33, 0, 192, 0, 2, 1, 0}};  // longer than an address
  for (const auto& option : wrong)
    EXPECT_EQ(ask({.type = rr::kAny, .edns = true, .options = option}).header.rcode(), rcode::kFormErr);
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

TEST_F(QueryTest, TheClientsSpellingComesBack) {
  know(nodata("www.example.", rr::kAaaa));
  know(fact("www.example.", rr::kA, {a("www.example.", "198.51.0.33")}));
  const auto r = ask({.name = "wWw.eXample."});
  EXPECT_EQ(r.question, "wWw.eXample.");
  EXPECT_THAT(r.answer, ElementsAre("wWw.eXample. 300 AAAA 64:ff9b::c633:21"));
}

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

// RFC 6052 §2.2: the six lengths, each as §2.4 shows it.
TEST_F(QueryTest, AllSixPrefixLengthsSynthesize) {
  struct Row {
    const char *prefix, *want;
  };
  policy.translation_prefixes[0].allow_non_global = true;
  for (const auto& row :
       {Row{"2001:db8::/32", "2001:db8:c000:221::"}, Row{"2001:db8:100::/40", "2001:db8:1c0:2:21::"},
        Row{"2001:db8:122::/48", "2001:db8:122:c000:2:2100::"},
        Row{"2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::"},
        Row{"2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100:0"},
        Row{"2001:db8:122:344::/96", "2001:db8:122:344::c000:221"}}) {
    policy.translation_prefixes[0].prefix = Ipv6Prefix::parse(row.prefix).value();
    run_policy();
    know(nodata("www.example.", rr::kAaaa));
    know(fact("www.example.", rr::kA, {a("www.example.", "192.0.2.33")}));
    EXPECT_THAT(ask({}).answer, ElementsAre(std::string{"www.example. 300 AAAA "} + row.want));
  }
}

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

}  // namespace
}  // namespace isthmus::dns64::test
