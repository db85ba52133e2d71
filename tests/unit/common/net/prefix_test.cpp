// SPDX-License-Identifier: Apache-2.0
#include "common/net/prefix.hpp"

#include <gtest/gtest.h>

namespace isthmus {
namespace {

TEST(Ipv4Prefix, HostBitsAreRefused) {
  EXPECT_TRUE(Ipv4Prefix::parse("203.0.113.16/28"));
  EXPECT_FALSE(Ipv4Prefix::parse("203.0.113.17/28"));
  EXPECT_FALSE(Ipv4Prefix::parse("203.0.113.0/33"));
  EXPECT_FALSE(Ipv4Prefix::parse("203.0.113.0/"));
  EXPECT_FALSE(Ipv4Prefix::parse("203.0.113.0/024"));
}

TEST(Ipv4Prefix, KnowsItsEdges) {
  const auto p = Ipv4Prefix::parse("203.0.113.16/28").value();
  EXPECT_TRUE(p.contains((Ipv4Address{203, 0, 113, 16})));
  EXPECT_TRUE(p.contains((Ipv4Address{203, 0, 113, 31})));
  EXPECT_FALSE(p.contains((Ipv4Address{203, 0, 113, 15})));
  EXPECT_FALSE(p.contains((Ipv4Address{203, 0, 113, 32})));
  EXPECT_EQ(p.last(), (Ipv4Address{203, 0, 113, 31}));
  EXPECT_EQ(p.size(), 16U);
  EXPECT_EQ(Ipv4Prefix{}.size(), std::uint64_t{1} << 32);
  EXPECT_TRUE(Ipv4Prefix{}.contains((Ipv4Address{255, 255, 255, 255})));
}

TEST(Ipv4Prefix, BareAddressIsAHost) {
  EXPECT_EQ(Ipv4Prefix::parse("192.0.2.1")->length(), 32U);
}

TEST(Ipv6Prefix, ContainsAtEveryLength) {
  const auto inside = Ipv6Address::parse("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff").value();
  for (unsigned length = 0; length <= 128; ++length) {
    const Ipv6Prefix p{inside, length};
    EXPECT_TRUE(p.contains(inside)) << length;
    if (length == 0) continue;
    auto bytes = inside.bytes();
    bytes[(length - 1) / 8] ^= static_cast<std::uint8_t>(0x80 >> ((length - 1) % 8));  // the last bit inside
    EXPECT_FALSE(p.contains(Ipv6Address{bytes})) << length;
  }
}

TEST(Ipv6Prefix, ParsesAndOverlaps) {
  const auto wide = Ipv6Prefix::parse("2001:db8::/32").value();
  const auto narrow = Ipv6Prefix::parse("2001:db8:1::/48").value();
  EXPECT_TRUE(wide.contains(narrow));
  EXPECT_FALSE(narrow.contains(wide));
  EXPECT_TRUE(narrow.overlaps(wide));
  EXPECT_FALSE(Ipv6Prefix::parse("2001:db8::1/64"));
  EXPECT_EQ(wide.to_string(), "2001:db8::/32");
}

}  // namespace
}  // namespace isthmus
