// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/announce/heard_pref64.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <vector>

namespace isthmus::nat64 {
namespace {

using std::chrono::seconds;
using Bytes = std::vector<std::uint8_t>;

constexpr TimePoint kNow{seconds{1000}};
const Ipv6Address kRouter = *Ipv6Address::parse("fe80::1");
const Pref64 kWellKnown = Pref64::well_known();

// RFC 8781 §4, figure 1.
Bytes pref64_option(unsigned units_of_8_s, unsigned code, const Ipv6Address& prefix) {
  const unsigned word = units_of_8_s << 3U | code;
  Bytes option(16);
  option[0] = 38;
  option[1] = 2;
  option[2] = static_cast<std::uint8_t>(word >> 8U);
  option[3] = static_cast<std::uint8_t>(word);
  std::copy_n(prefix.bytes().begin(), 12, option.begin() + 4);
  return option;
}

Bytes advertisement(const std::vector<Bytes>& options) {
  Bytes message{134, 0, 0, 0, 64, 0, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0};
  for (const auto& option : options) message.insert(message.end(), option.begin(), option.end());
  return message;
}

const Bytes kMtuOption{5, 1, 0, 0, 0, 0, 5, 220};

TEST(RouterAdvertisement, EachPrefixLengthCodeIsRead) {
  constexpr std::array<unsigned, 6> kLengths{96, 64, 56, 48, 40, 32};
  const auto address = *Ipv6Address::parse("2001:db8:1:2:34:5:6:0");
  for (unsigned code = 0; code < kLengths.size(); ++code) {
    const auto found =
        parse_router_advertisement(advertisement({kMtuOption, pref64_option(225, code, address)}));
    ASSERT_TRUE(found && found->size() == 1) << code;
    EXPECT_EQ(found->front().prefix.prefix(), (Ipv6Prefix{address, kLengths[code]}));
    EXPECT_EQ(found->front().lifetime, seconds{1800});
  }
}

TEST(RouterAdvertisement, OptionsThatAreNotUnderstoodArePassedOver) {
  const auto good = pref64_option(1, 0, kWellKnown.prefix().address());
  auto of_three = pref64_option(1, 0, kWellKnown.prefix().address());
  of_three[1] = 3;
  of_three.resize(24);
  const auto reserved6 = pref64_option(1, 6, kWellKnown.prefix().address());
  const auto reserved7 = pref64_option(1, 7, kWellKnown.prefix().address());
  const auto found = parse_router_advertisement(advertisement({of_three, reserved6, reserved7, good}));
  ASSERT_TRUE(found);
  ASSERT_EQ(found->size(), 1U);
  EXPECT_EQ(found->front().prefix, kWellKnown);
}

TEST(RouterAdvertisement, WhatIsMalformedSaysNothing) {
  const auto whole = advertisement({pref64_option(1, 0, kWellKnown.prefix().address())});
  for (std::size_t length = 0; length < whole.size(); ++length) {
    if (length == 16) continue;  // no options at all
    EXPECT_FALSE(parse_router_advertisement(std::span(whole).first(length))) << length;
  }
  EXPECT_FALSE(parse_router_advertisement(advertisement({{38, 0}})));
  auto solicitation = whole;
  solicitation[0] = 133;
  EXPECT_FALSE(parse_router_advertisement(solicitation));
}

TEST(HeardPref64s, AnEntryLivesAsLongAsItWasAnnounced) {
  HeardPref64s heard;
  EXPECT_TRUE(heard.hear(kRouter, {kWellKnown, seconds{16}}, kNow));
  EXPECT_FALSE(heard.hear(kRouter, {kWellKnown, seconds{16}}, kNow + seconds{10}));
  EXPECT_EQ(heard.at(kNow + seconds{25}).size(), 1U);
  EXPECT_TRUE(heard.at(kNow + seconds{26}).empty());
}

TEST(HeardPref64s, ALifetimeOfZeroEndsIt) {
  HeardPref64s heard;
  EXPECT_TRUE(heard.hear(kRouter, {kWellKnown, seconds{1800}}, kNow));
  EXPECT_FALSE(heard.hear(kRouter, {kWellKnown, seconds{0}}, kNow));
  EXPECT_TRUE(heard.at(kNow).empty());
}

TEST(HeardPref64s, AHostileLinkMakesItNoLarger) {
  HeardPref64s heard;
  for (std::uint16_t i = 0; i < 100; ++i) {
    Ipv6Address::Bytes octets{0x20, 0x01, static_cast<std::uint8_t>(i)};
    const auto prefix = Pref64::make(Ipv6Prefix{Ipv6Address{octets}, 64});
    ASSERT_TRUE(prefix);
    (void)heard.hear(kRouter, {*prefix, seconds{100 + i}}, kNow);
  }
  EXPECT_EQ(heard.at(kNow).size(), HeardPref64s::kMaxEntries);
}

TEST(IsOurs, APrefixOfThePolicyOrOneUnderAParent) {
  Policy policy;
  policy.translation_prefixes.resize(2);
  policy.translation_prefixes[0].prefix = kWellKnown.prefix();
  policy.translation_prefixes[1].prefix = *Ipv6Prefix::parse("2001:db8:64::/64");
  policy.translation_prefixes[1].assignment = Assignment::kPerNode;
  EXPECT_TRUE(is_ours(kWellKnown, policy));
  EXPECT_TRUE(is_ours(*Pref64::parse("2001:db8:64:0:0:7::/96"), policy));
  EXPECT_FALSE(is_ours(*Pref64::parse("2001:db8:64::/64"), policy));
  EXPECT_FALSE(is_ours(*Pref64::parse("2001:db8:65::/96"), policy));
}

}  // namespace
}  // namespace isthmus::nat64
