// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/shell/connection_quota.hpp"

#include <gtest/gtest.h>

namespace isthmus::dns64 {
namespace {

ClientAddress v6(const char* text) {
  return Ipv6Address::parse(text).value();
}

TEST(ConnectionQuota, NoMoreThanTheTotal) {
  ConnectionQuota quota{4, 100};
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(quota.take());
  EXPECT_FALSE(quota.take());
  EXPECT_TRUE(quota.is_scarce());
  quota.give();
  EXPECT_TRUE(quota.take());
}

TEST(ConnectionQuota, AllAddressesOfASlash64AreOneClient) {
  ConnectionQuota quota{100, 2};
  EXPECT_TRUE(quota.take_client(v6("2001:db8::1")));
  EXPECT_TRUE(quota.take_client(v6("2001:db8::2")));
  EXPECT_FALSE(quota.take_client(v6("2001:db8::3")));
  EXPECT_TRUE(quota.take_client(v6("2001:db8:0:1::1")));
  quota.give_client(v6("2001:db8::9"));
  EXPECT_TRUE(quota.take_client(v6("2001:db8::3")));
}

TEST(ConnectionQuota, IPv4ClientsAreSingleAddresses) {
  ConnectionQuota quota{100, 1};
  EXPECT_TRUE(quota.take_client(Ipv4Address{192, 0, 2, 1}));
  EXPECT_TRUE(quota.take_client(Ipv4Address{192, 0, 2, 2}));
  EXPECT_FALSE(quota.take_client(Ipv4Address{192, 0, 2, 1}));
}

}  // namespace
}  // namespace isthmus::dns64
