// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/core/rate_limit.hpp"

#include <gtest/gtest.h>

namespace isthmus::dns64 {
namespace {

TimePoint at(int milliseconds) {
  return TimePoint{std::chrono::milliseconds{1'000'000 + milliseconds}};
}
ClientAddress v6(const char* text) {
  return Ipv6Address::parse(text).value();
}

TEST(ClientRateLimit, AClientGetsItsBurstThenItsRate) {
  ClientRateLimit limit{10, HashKey{}};
  const auto client = v6("2001:db8::1");
  int allowed = 0;
  for (int i = 0; i < 100; ++i) allowed += limit.allows(client, at(0)) ? 1 : 0;
  EXPECT_EQ(allowed, 20);
  allowed = 0;
  for (int ms = 0; ms < 5000; ++ms) allowed += limit.allows(client, at(ms)) ? 1 : 0;
  EXPECT_NEAR(allowed, 50, 1);
}

TEST(ClientRateLimit, ASubscriberIsA64OrAnIpv4Address) {
  ClientRateLimit limit{1, HashKey{}};
  const auto exhaust = [&](const ClientAddress& client) {
    while (limit.allows(client, at(0))) {
    }
  };
  exhaust(v6("2001:db8:0:1::1"));
  EXPECT_FALSE(limit.allows(v6("2001:db8:0:1:ffff::2"), at(0)));
  EXPECT_TRUE(limit.allows(v6("2001:db8:0:2::1"), at(0)));
  exhaust(Ipv4Address{192, 0, 2, 1});
  EXPECT_TRUE(limit.allows(Ipv4Address{192, 0, 2, 2}, at(0)));
}

TEST(ClientRateLimit, ZeroIsNoLimit) {
  ClientRateLimit limit{0, HashKey{}};
  for (int i = 0; i < 100000; ++i) ASSERT_TRUE(limit.allows(v6("2001:db8::1"), at(0)));
}

TEST(ClientRateLimit, ALongSilenceEarnsNoMoreThanTheBurst) {
  ClientRateLimit limit{10, HashKey{}};
  const auto client = v6("2001:db8::1");
  while (limit.allows(client, at(0))) {
  }
  int allowed = 0;
  for (int i = 0; i < 100; ++i) allowed += limit.allows(client, at(86'400'000)) ? 1 : 0;
  EXPECT_EQ(allowed, 20);
}

TEST(ResponseRateLimit, EqualResponsesToOneNetworkAreLimitedAndEverySecondSlips) {
  ResponseRateLimit limit{5, HashKey{}};
  const auto name = Name::parse("www.example.").value();
  const auto other = Name::parse("other.example.").value();
  int sent = 0, slipped = 0, dropped = 0;
  for (int i = 0; i < 25; ++i) {
    const ClientAddress forged = Ipv4Address{192, 0, 2, static_cast<std::uint8_t>(i)};
    const auto verdict = limit.judge(forged, name.view(), 0, at(0));
    sent += verdict == ResponseVerdict::kSend ? 1 : 0;
    slipped += verdict == ResponseVerdict::kSlip ? 1 : 0;
    dropped += verdict == ResponseVerdict::kDrop ? 1 : 0;
  }
  EXPECT_EQ(sent, 5);
  EXPECT_EQ(slipped, 10);
  EXPECT_EQ(dropped, 10);
  EXPECT_EQ(limit.judge(Ipv4Address{192, 0, 2, 1}, other.view(), 0, at(0)), ResponseVerdict::kSend);
  EXPECT_EQ(limit.judge(Ipv4Address{192, 0, 3, 1}, name.view(), 0, at(0)), ResponseVerdict::kSend);
  EXPECT_EQ(limit.judge(Ipv4Address{192, 0, 2, 1}, name.view(), 0, at(1000)), ResponseVerdict::kSend);
}

}  // namespace
}  // namespace isthmus::dns64
