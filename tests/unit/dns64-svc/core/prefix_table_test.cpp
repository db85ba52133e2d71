// SPDX-License-Identifier: Apache-2.0
// Whatever the order in which prefixes are given, the longest that holds the address decides.
#include "dns64-svc/core/prefix_table.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "common/net/ipv4_address.hpp"
#include "common/net/ipv6_address.hpp"

namespace isthmus::dns64 {
namespace {

using Table6 = PrefixTable<Ipv6Prefix, Ipv6Address>;
using Table4 = PrefixTable<Ipv4Prefix, Ipv4Address>;

Ipv6Address v6(const char* text) {
  return Ipv6Address::parse(text).value();
}
Ipv4Address v4(const char* text) {
  return Ipv4Address::parse(text).value();
}

TEST(PrefixTable, TheLongestIpv6PrefixDecidesInAnyOrder) {
  const char* prefixes[] = {"::/0", "2001:db8::/32", "2001:db8:1::/48", "2001:db8:1:2::/64",
                            "2001:db8:1:2::3/128"};
  std::array<std::uint32_t, std::size(prefixes)> order{0, 1, 2, 3, 4};
  do {
    Table6 table;
    for (const auto i : order) table.add(Ipv6Prefix::parse(prefixes[i]).value(), i);
    EXPECT_EQ(table.find(v6("2001:db9::1")), 0U);
    EXPECT_EQ(table.find(v6("2001:db8:2::1")), 1U);
    EXPECT_EQ(table.find(v6("2001:db8:1:3::1")), 2U);
    EXPECT_EQ(table.find(v6("2001:db8:1:2::4")), 3U);
    EXPECT_EQ(table.find(v6("2001:db8:1:2::3")), 4U);
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST(PrefixTable, TheLongestIpv4PrefixDecidesInAnyOrder) {
  const char* prefixes[] = {"10.0.0.0/8", "10.1.2.0/24", "10.1.2.3/32"};
  std::array<std::uint32_t, std::size(prefixes)> order{0, 1, 2};
  do {
    Table4 table;
    for (const auto i : order) table.add(Ipv4Prefix::parse(prefixes[i]).value(), i);
    EXPECT_EQ(table.find(v4("11.0.0.1")), std::nullopt);
    EXPECT_EQ(table.find(v4("10.1.3.1")), 0U);
    EXPECT_EQ(table.find(v4("10.1.2.4")), 1U);
    EXPECT_EQ(table.find(v4("10.1.2.3")), 2U);
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST(PrefixTable, TheFirstValueOfAPrefixStays) {
  Table6 table;
  table.add(Ipv6Prefix::parse("2001:db8::/32").value(), 1);
  table.add(Ipv6Prefix::parse("2001:db8::/32").value(), 2);
  EXPECT_EQ(table.find(v6("2001:db8::1")), 1U);
  EXPECT_EQ(Table6{}.find(v6("2001:db8::1")), std::nullopt);
}

TEST(PrefixTable, OfANetworkOnlyPrefixesThatHoldAllOfItCount) {
  Table6 table;
  table.add(Ipv6Prefix::parse("2001:db8::/32").value(), 0);
  table.add(Ipv6Prefix::parse("2001:db8:1::/64").value(), 1);
  EXPECT_EQ(table.find(v6("2001:db8:1::"), 64), 1U);
  EXPECT_EQ(table.find(v6("2001:db8:1::"), 48), 0U);
  EXPECT_EQ(table.find(v6("2001:db8:1::"), 31), std::nullopt);
}

}  // namespace
}  // namespace isthmus::dns64
