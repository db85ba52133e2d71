// SPDX-License-Identifier: Apache-2.0
#include "common/net/ipv6_address.hpp"

#include <gtest/gtest.h>

namespace isthmus {
namespace {

TEST(Ipv6Address, PrintsAsRfc5952Says) {
  struct Row {
    const char* in;
    const char* out;
  };
  for (const auto& row :
       {Row{"2001:0db8::0001", "2001:db8::1"}, Row{"2001:db8:0:0:0:0:2:1", "2001:db8::2:1"},
        Row{"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},  // §4.2.2: one group is not shortened
        Row{"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},           // §4.2.3: the longest run
        Row{"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},     // §4.2.3: the first on a tie
        Row{"2001:DB8::ABCD", "2001:db8::abcd"}, Row{"::", "::"}, Row{"::1", "::1"}, Row{"1::", "1::"},
        Row{"64:ff9b::192.0.2.33", "64:ff9b::c000:221"}}) {
    const auto a = Ipv6Address::parse(row.in);
    ASSERT_TRUE(a) << row.in;
    EXPECT_EQ(a->to_string(), row.out);
  }
}

TEST(Ipv6Address, RefusesWhatIsNotOne) {
  for (const auto* text : {"", ":", ":::", "1::2::3", "12345::", "2001:db8::1%eth0", "[::1]", "::1/128",
                           "1:2:3:4:5:6:7", "g::"}) {
    EXPECT_FALSE(Ipv6Address::parse(text)) << text;
  }
}

TEST(Ipv6Address, HalvesAreTheNumericValue) {
  const auto a = Ipv6Address::from_halves(0x20010db800000000ULL, 5);
  EXPECT_EQ(a.to_string(), "2001:db8::5");
  EXPECT_EQ(a.high(), 0x20010db800000000ULL);
  EXPECT_EQ(a.low(), 5U);
}

}  // namespace
}  // namespace isthmus
