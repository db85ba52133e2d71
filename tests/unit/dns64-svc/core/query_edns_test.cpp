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

}  // namespace
}  // namespace isthmus::dns64::test
