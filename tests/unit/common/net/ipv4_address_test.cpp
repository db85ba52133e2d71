// SPDX-License-Identifier: Apache-2.0
#include "common/net/ipv4_address.hpp"

#include <gtest/gtest.h>

namespace isthmus {
namespace {

TEST(Ipv4Address, ParsesAndPrintsDottedQuad) {
  const auto a = Ipv4Address::parse("192.0.2.33");
  ASSERT_TRUE(a);
  EXPECT_EQ(a->value(), 0xc0000221U);
  EXPECT_EQ(a->to_string(), "192.0.2.33");
}

TEST(Ipv4Address, RefusesEverythingElse) {
  for (const auto* text :
       {"", "192.0.2", "192.0.2.33.1", "192.0.2.256", "192.0.02.1", " 192.0.2.1", "192.0.2.1 ", "192.0.2.-1",
        "192..2.1", "0x10.0.0.1", "1.2.3.4/32", "192.0.2.0001", "+1.2.3.4"}) {
    EXPECT_FALSE(Ipv4Address::parse(text)) << '"' << text << '"';
  }
}

TEST(Ipv4Address, BytesAreNetworkOrder) {
  const std::uint8_t bytes[] = {203, 0, 113, 7};
  EXPECT_EQ(Ipv4Address::load(bytes), (Ipv4Address{203, 0, 113, 7}));
  std::uint8_t out[4];
  Ipv4Address{203, 0, 113, 7}.store(out);
  EXPECT_EQ(0, std::memcmp(bytes, out, 4));
}

}  // namespace
}  // namespace isthmus
