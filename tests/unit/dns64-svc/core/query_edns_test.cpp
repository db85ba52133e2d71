// SPDX-License-Identifier: Apache-2.0
// What rides on EDNS: padding, cookies, the idle timeout, the client's subnet.
#include <gmock/gmock.h>

#include "tests/unit/dns64-svc/core/query_lab.hpp"

namespace isthmus::dns64::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

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
  const Bytes with_value{0, 11, 0, 2, 0, 1};
  EXPECT_EQ(ask({.type = rr::kAny, .edns = true, .options = with_value}).header.rcode(), rcode::kFormErr);
  client.transport = Transport::kUdp;  // §3.3: ignored there
  EXPECT_EQ(ask({.type = rr::kAny, .edns = true, .options = with_value}).header.rcode(), rcode::kNoError);
}

// RFC 7873 §5.4.
TEST_F(QueryTest, WhoAsksForNothingButACookieHearsWhetherItsOwnIsGood) {
  const CookieJar jar{CookieSecret{1, 2, 3}};
  run_policy();
  auto with_cookies = context();
  with_cookies.cookies = &jar;
  client.address = kClient;
  const Bytes half{9, 8, 7, 6, 5, 4, 3, 2};
  const auto baked = jar.bake(half, kClient, with_cookies.wall_seconds);
  const Bytes good(baked.begin(), baked.end());
  auto dead = good;
  dead.back() ^= 1;
  const auto code_of = [&](const Bytes& cookie, Transport transport) {
    Bytes buffer(512);
    MessageWriter writer{buffer};
    Bytes option{0, 10, 0, static_cast<std::uint8_t>(cookie.size())};
    option.insert(option.end(), cookie.begin(), cookie.end());
    EXPECT_TRUE(writer.record(Section::kAdditional, name_of(".").view(), rr::kOpt, 1232, 0, option));
    buffer.resize(writer.finish(1, flag::kRd));
    client.transport = transport;
    const auto step = Query{}.start(buffer, client, with_cookies, room);
    const auto bytes = std::span<const std::uint8_t>{room}.first(step.size);
    const auto header = read_header(bytes).value();
    const auto opt = MessageView::Cursor{bytes, kHeaderSize, header}.next();
    EXPECT_TRUE(opt && opt->type == rr::kOpt);
    if (!opt) return 0xffffU;
    EXPECT_EQ(jar.check(opt->rdata.subspan(4), kClient, with_cookies.wall_seconds), CookieVerdict::kValid);
    return header.rcode() | (opt->ttl >> 24 << 4);
  };
  for (const auto transport : {Transport::kUdp, Transport::kTcp}) {
    EXPECT_EQ(code_of(half, transport), rcode::kNoError);
    EXPECT_EQ(code_of(good, transport), rcode::kNoError);
    EXPECT_EQ(code_of(dead, transport), rcode::kBadCookie);
  }
  // §5.2: of several the first one counts.
  Bytes options{0, 10, 0, 24};
  options.insert(options.end(), good.begin(), good.end());
  for (const auto byte : {0, 10, 0, 24}) options.push_back(static_cast<std::uint8_t>(byte));
  options.insert(options.end(), dead.begin(), dead.end());
  Query two;
  client.transport = Transport::kUdp;
  (void)two.start(request({.type = rr::kAny, .edns = true, .options = options}), client, with_cookies, room);
  EXPECT_TRUE(two.is_proven());
}

// RFC 8914: why there is an error, as exactly as is known.
TEST_F(QueryTest, EveryFailureHasAnExtendedErrorThatSaysSomething) {
  struct Row {
    ResolveFailure why;
    std::uint16_t want;
    bool has_text;
  };
  for (const auto& row :
       {Row{ResolveFailure::kTimeout, ede::kNoReachableAuthority, false},
        Row{ResolveFailure::kServFail, ede::kNoReachableAuthority, false},
        Row{ResolveFailure::kRefused, ede::kNoReachableAuthority, false},
        Row{ResolveFailure::kBusy, ede::kOther, true}, Row{ResolveFailure::kInternal, ede::kOther, true}}) {
    query = Query{};
    (void)start({.type = rr::kA, .edns = true});
    const auto step = query.on_failure(0, row.why, context(), room);
    EXPECT_EQ(step.ede, row.want) << kResolveFailureNames[row.why];
    EXPECT_EQ(reply(step).opt_data.size() > 6, row.has_text) << kResolveFailureNames[row.why];
  }
}

TEST_F(QueryTest, AFailureThatIsRememberedIsACachedErrorUnlessMoreIsKnown) {
  const auto name = name_of("www.example.");
  know(failure_fact(name.view(), rr::kA, {.now = kNow}));
  EXPECT_EQ(ask({.type = rr::kA, .edns = true}).header.rcode(), rcode::kServFail);
  EXPECT_EQ(last.ede, ede::kCachedError);
  know(failure_fact(name.view(), rr::kA, {.ede = ede::kDnssecBogus, .now = kNow}));
  (void)ask({.type = rr::kA, .edns = true});
  EXPECT_EQ(last.ede, ede::kDnssecBogus);
  // One that was looked up for this very query comes from no cache.
  query = Query{};
  (void)start({.type = rr::kTxt, .edns = true});
  const auto failure = failure_fact(name.view(), rr::kTxt, {.now = kNow});
  EXPECT_EQ(query.on_fact(0, failure, context(), room).ede, ede::kNoReachableAuthority);
}

TEST_F(QueryTest, OtherExtendedErrorsAreThoseOfTheRegistry) {
  (void)ask({.klass = 3, .edns = true});
  EXPECT_EQ(last.ede, ede::kNotSupported);
  (void)ask({.type = rr::kAxfr, .edns = true});
  EXPECT_EQ(last.ede, ede::kNotSupported);
  know(fact("www.example.", rr::kA, {soa(100, 100)}, Security::kInsecure, rcode::kNxDomain));
  query = Query{};
  (void)start({.type = rr::kA, .edns = true}, after(200));
  const auto stale = query.on_deadline(Deadline::kClient, context(after(202)), room);
  EXPECT_EQ(reply(stale).header.rcode(), rcode::kNxDomain);
  EXPECT_EQ(stale.ede, ede::kStaleNxdomain);
  policy.dns64.views[0].rebinding_protection = true;
  run_policy();
  know(fact("www.example.", rr::kA, {a("www.example.", "192.168.1.1")}));
  (void)ask({.type = rr::kA, .edns = true});
  EXPECT_EQ(last.ede, ede::kBlocked);
}

// RFC 6891 §6.1.1.
TEST_F(QueryTest, TwoOptRecordsOrOneOfAnotherOwnerAreAFormatError) {
  run_policy();
  const auto with_opts = [](const std::vector<std::string>& owners) {
    Bytes buffer(512);
    MessageWriter writer{buffer};
    writer.question(name_of("www.example.").view(), rr::kAny, kClassIn);
    for (const auto& owner : owners)
      EXPECT_TRUE(writer.record(Section::kAdditional, name_of(owner).view(), rr::kOpt, 1232, 0, {}));
    buffer.resize(writer.finish(1, flag::kRd));
    return buffer;
  };
  client.address = kClient;
  const auto code_of = [&](const std::vector<std::string>& owners) {
    return reply(Query{}.start(with_opts(owners), client, context(), room)).header.rcode();
  };
  EXPECT_EQ(code_of({"."}), rcode::kNoError);
  EXPECT_EQ(code_of({".", "."}), rcode::kFormErr);
  EXPECT_EQ(code_of({"example."}), rcode::kFormErr);
}

// RFC 6891 §6.1.1: or the client would think that there is no EDNS here.
TEST_F(QueryTest, WhoSendsOptGetsOptWhateverElseIsWrong) {
  run_policy();
  client.address = kClient;
  const auto good = request({.edns = true});
  auto update = good;
  update[2] = 0x28;
  auto answer_in_question = good;
  answer_in_question[7] = 1;  // the OPT is an answer now
  answer_in_question[11] = 0;
  Bytes with_answer(512);
  MessageWriter writer{with_answer};
  writer.question(name_of("www.example.").view(), rr::kA, kClassIn);
  EXPECT_TRUE(writer.record(Section::kAnswer, name_of("www.example.").view(), rr::kA, kClassIn, 0,
                            Bytes{192, 0, 2, 1}));
  EXPECT_TRUE(writer.record(Section::kAdditional, name_of(".").view(), rr::kOpt, 1232, 0, {}));
  with_answer.resize(writer.finish(1, flag::kRd));
  struct Row {
    const Bytes& bytes;
    unsigned code;
    bool opt;
  };
  for (const auto& row : {Row{update, rcode::kNotImp, true}, Row{with_answer, rcode::kFormErr, true},
                          Row{answer_in_question, rcode::kFormErr, false}}) {
    const auto r = reply(Query{}.start(row.bytes, client, context(), room));
    EXPECT_EQ(r.header.rcode(), row.code);
    EXPECT_EQ(r.has_opt, row.opt);
  }
}

// RFC 6891 §6.2.3: below 512 counts as 512.
TEST_F(QueryTest, ASizeBelow512CountsAs512) {
  std::vector<Rr> records;
  for (int i = 0; i < 20; ++i) records.push_back(a("www.example.", "198.51.7." + std::to_string(i + 1)));
  know(fact("www.example.", rr::kA, records));
  for (const std::uint16_t size : std::vector<std::uint16_t>{0, 100, 511, 512}) {
    const auto r = ask({.type = rr::kA, .edns = true, .udp_size = size});
    EXPECT_EQ(r.answer.size(), 20U) << size;
    EXPECT_GT(last.size, 340U);
    EXPECT_LE(last.size, 512U);
  }
  for (int i = 20; i < 35; ++i) records.push_back(a("www.example.", "198.51.7." + std::to_string(i + 1)));
  know(fact("www.example.", rr::kA, records));
  for (const std::uint16_t size : std::vector<std::uint16_t>{0, 512}) {
    EXPECT_TRUE(ask({.type = rr::kA, .edns = true, .udp_size = size}).flag(flag::kTc)) << size;
    EXPECT_LE(last.size, 512U);
  }
  EXPECT_EQ(ask({.type = rr::kA, .edns = true, .udp_size = 700}).answer.size(), 35U);
}

// RFC 6891 §6.1.2.
TEST_F(QueryTest, UnknownOptionsAreIgnoredAndNotEchoed) {
  const auto r = ask({.type = rr::kAny, .edns = true, .options = {0xfd, 0xe9, 0, 2, 7, 7, 0xfd, 0xea, 0, 0}});
  EXPECT_EQ(r.header.rcode(), rcode::kNoError);
  EXPECT_TRUE(r.has_opt);
  EXPECT_THAT(r.opt_data, IsEmpty());
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

// A subnet that is wider than a list's prefix may hold clients that are not on it.
TEST_F(QueryTest, AWideSubnetIsNoneOfTheClientsOfANarrowPrefix) {
  auto inner = policy.dns64.views[0];
  inner.name = "inner";
  inner.clients = {IpPrefix{Ipv6Prefix::parse("2001:db8:1::/64").value()}};
  policy.dns64.views.push_back(inner);
  run_policy();
  const auto forwarders = AddressList::parse({"2001:db8:ffff::53"}).value();
  client.address = v6("2001:db8:ffff::53");
  know(nodata("www.example.", rr::kAaaa));
  know(fact("www.example.", rr::kA, {a("www.example.", "198.51.0.33")}));
  const auto ask_for = [&](std::uint8_t length) {
    auto trusting = context();
    trusting.forwarders = &forwarders;
    Bytes option{0, 8, 0, 0, 0, 2, length, 0, 0x20, 1, 0x0d, 0xb8, 0, 1, 0, 0};
    option.resize(8 + length / 8U);
    option[3] = static_cast<std::uint8_t>(option.size() - 4);
    Query one;
    last = one.start(request({.edns = true, .options = option}), client, trusting, room);
    return last.view;
  };
  EXPECT_EQ(ask_for(64), 1U);
  EXPECT_EQ(ask_for(48), 0U);
  EXPECT_EQ(last.outcome, Outcome::kSynthesized);
  policy.translation_prefixes[0].clients = {Ipv6Prefix::parse("2001:db8:1::/64").value()};
  run_policy();
  EXPECT_EQ(ask_for(64), 1U);
  EXPECT_EQ(last.outcome, Outcome::kSynthesized);
  EXPECT_EQ(ask_for(48), 0U);
  EXPECT_EQ(last.outcome, Outcome::kNoPrefix);
}

}  // namespace
}  // namespace isthmus::dns64::test
