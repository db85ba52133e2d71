// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/ways.hpp"

#include <gtest/gtest.h>

#include <memory>

#include "tests/support/packet_builder.hpp"

namespace isthmus::nat64 {
namespace {

using test::PacketBuilder;

constexpr HashKey kKey{1, 2};
constexpr Way kWay{1, 1500, {{2, 0, 0, 0, 4, 2}}, {{2, 0, 0, 0, 4, 1}}};

Ways::Destination to4(const char* destination) {
  return Ways::destination_of(PacketBuilder::ipv4("203.0.113.1", destination).udp(1, 2).bytes());
}
Ways::Destination to6(const char* destination) {
  return Ways::destination_of(PacketBuilder::ipv6("64:ff9b::c633:6401", destination).udp(1, 2).bytes());
}

TEST(Ways, AreKnownByDestinationAndByTheViewTheyWereLearnedFrom) {
  const auto ways = std::make_unique<Ways>(kKey);
  EXPECT_EQ(ways->find(to4("198.51.100.1"), 1), nullptr);
  ways->remember(to4("198.51.100.1"), 1, kWay);
  ASSERT_NE(ways->find(to4("198.51.100.1"), 1), nullptr);
  EXPECT_EQ(ways->find(to4("198.51.100.1"), 1)->port, 1U);
  EXPECT_EQ(ways->find(to4("198.51.100.1"), 1)->to, kWay.to);
  EXPECT_EQ(ways->find(to4("198.51.100.2"), 1), nullptr);
  EXPECT_EQ(ways->find(to4("198.51.100.1"), 2), nullptr);  // routes have changed since
}

TEST(Ways, TellTheFamiliesApart) {
  const auto ways = std::make_unique<Ways>(kKey);
  ways->remember(to6("::198.51.100.1"), 7, kWay);
  EXPECT_NE(ways->find(to6("::198.51.100.1"), 7), nullptr);
  EXPECT_EQ(ways->find(to6("::198.51.100.2"), 7), nullptr);
  EXPECT_EQ(ways->find(to4("198.51.100.1"), 7), nullptr);  // a spoofed IPv6 source must not lead IPv4 astray
}

TEST(Ways, HoldMoreDestinationsThanTheyHaveRoomForOneAfterTheOther) {
  const auto ways = std::make_unique<Ways>(kKey);
  for (std::uint64_t n = 1; n <= 5000; ++n) {
    ways->remember({0, n, false}, 1, kWay);
    EXPECT_NE(ways->find({0, n, false}, 1), nullptr);
  }
}

}  // namespace
}  // namespace isthmus::nat64
