// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/core/address_list.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace isthmus::dns64 {
namespace {

ClientAddress v6(const char* text) {
  return Ipv6Address::parse(text).value();
}

TEST(AddressList, HoldsPrefixesOfBothFamiliesAndSingleAddresses) {
  const auto list = AddressList::parse({"192.0.2.0/24", "2001:db8::/32", "::1"}).value();
  EXPECT_TRUE(list.contains(Ipv4Address{192, 0, 2, 9}));
  EXPECT_TRUE(list.contains(v6("2001:db8:5::1")));
  EXPECT_TRUE(list.contains(v6("::1")));
  EXPECT_FALSE(list.contains(Ipv4Address{192, 0, 3, 9}));
  EXPECT_FALSE(list.contains(v6("::2")));
}

TEST(AddressList, AnEmptyOneHoldsNobody) {
  EXPECT_TRUE(AddressList{}.empty());
  EXPECT_FALSE(AddressList{}.contains(v6("::1")));
}

TEST(AddressList, WhatIsNoPrefixIsNamed) {
  EXPECT_THAT(AddressList::parse({"192.0.2.0/24", "balancer"}).error(), testing::HasSubstr("\"balancer\""));
  EXPECT_FALSE(AddressList::parse({"192.0.2.1/24"}).has_value());  // host bits
}

}  // namespace
}  // namespace isthmus::dns64
