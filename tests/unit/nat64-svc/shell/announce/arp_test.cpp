// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/announce/arp.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace isthmus::nat64 {
namespace {

constexpr MacAddress kAsker{{0x02, 0, 0, 0, 0, 0x01}};
constexpr MacAddress kOwn{{0x02, 0, 0, 0, 0, 0x02}};

// Who has 203.0.113.1? Tell 203.0.113.254.
const std::vector<std::uint8_t> kRequest{
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0,   0, 0,   0,   0x01, 0x08, 0x06, 0, 1, 0x08, 0,   6, 4,   0,
    1,    0x02, 0,    0,    0,    0,    0x01, 203, 0, 113, 254, 0,    0,    0,    0, 0, 0,    203, 0, 113, 1};

TEST(Arp, ARequestIsRead) {
  const auto request = parse_arp_request(kRequest);
  ASSERT_TRUE(request.has_value());
  EXPECT_EQ(request->sender_mac, kAsker);
  EXPECT_EQ(request->sender, (Ipv4Address{203, 0, 113, 254}));
  EXPECT_EQ(request->target, (Ipv4Address{203, 0, 113, 1}));
}

TEST(Arp, WhatIsShorterOrOfAnotherKindIsNoRequest) {
  for (std::size_t length = 0; length < kRequest.size(); ++length) {
    EXPECT_FALSE(parse_arp_request(std::span(kRequest).first(length)).has_value()) << length;
  }
  for (const std::size_t at : {12U, 15U, 16U, 18U, 19U, 21U}) {
    auto other = kRequest;
    other[at] ^= 0x03;
    EXPECT_FALSE(parse_arp_request(other).has_value()) << at;
  }
}

TEST(Arp, TheReplyGoesToWhoAsked) {
  const auto request = parse_arp_request(kRequest);
  ASSERT_TRUE(request.has_value());
  const auto reply = arp_reply(*request, request->target, kOwn);
  const std::vector<std::uint8_t> expected{
      0x02, 0,    0, 0, 0, 0x01, 0x02, 0,   0, 0,   0, 0x02, 0x08, 0x06, 0, 1, 0x08, 0,   6, 4,   0,
      2,    0x02, 0, 0, 0, 0,    0x02, 203, 0, 113, 1, 0x02, 0,    0,    0, 0, 0x01, 203, 0, 113, 254};
  EXPECT_EQ(std::vector<std::uint8_t>(reply.begin(), reply.end()), expected);
}

TEST(Arp, AnAnnouncementAsksAllForItsOwnAddress) {
  const auto frame = arp_announcement(Ipv4Address{203, 0, 113, 1}, kOwn);
  const auto request = parse_arp_request(frame);
  ASSERT_TRUE(request.has_value());
  EXPECT_EQ(frame[0], 0xff);
  EXPECT_EQ(request->sender, request->target);
  EXPECT_EQ(request->sender_mac, kOwn);
}

}  // namespace
}  // namespace isthmus::nat64
