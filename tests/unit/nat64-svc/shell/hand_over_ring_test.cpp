// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/hand_over_ring.hpp"

#include <gtest/gtest.h>

#include <thread>

namespace isthmus::nat64 {
namespace {

using Bytes = std::vector<std::uint8_t>;

std::vector<std::pair<Side, Bytes>> drain(HandOverRing& ring, std::size_t most = 100) {
  std::vector<std::pair<Side, Bytes>> got;
  ring.drain(most, [&](Side side, const FragmentNote&, std::span<const std::uint8_t> packet) {
    got.emplace_back(side, Bytes(packet.begin(), packet.end()));
  });
  return got;
}

TEST(HandOverRing, WhatIsStagedIsSeenOnlyWhenPublished) {
  HandOverRing ring(4, 16);
  EXPECT_TRUE(ring.empty());
  ASSERT_TRUE(ring.stage(Side::kV4, {}, Bytes{1, 2, 3}));
  EXPECT_TRUE(ring.empty());
  EXPECT_TRUE(drain(ring).empty());
  EXPECT_TRUE(ring.publish());
  EXPECT_FALSE(ring.publish());
  EXPECT_FALSE(ring.empty());
  const auto got = drain(ring);
  ASSERT_EQ(got.size(), 1U);
  EXPECT_EQ(got[0].first, Side::kV4);
  EXPECT_EQ(got[0].second, (Bytes{1, 2, 3}));
  EXPECT_TRUE(ring.empty());
}

TEST(HandOverRing, AFullRingRefusesUntilSomethingIsTaken) {
  HandOverRing ring(4, 16);
  for (std::uint8_t i = 0; i < 4; ++i) ASSERT_TRUE(ring.stage(Side::kV6, {}, Bytes{i}));
  EXPECT_FALSE(ring.stage(Side::kV6, {}, Bytes{9}));
  ring.publish();
  EXPECT_EQ(drain(ring, 1).front().second, Bytes{0});
  EXPECT_TRUE(ring.stage(Side::kV6, {}, Bytes{4}));
  EXPECT_FALSE(ring.stage(Side::kV6, {}, Bytes{9}));
  ring.publish();
  const auto rest = drain(ring);
  ASSERT_EQ(rest.size(), 4U);
  EXPECT_EQ(rest.front().second, Bytes{1});
  EXPECT_EQ(rest.back().second, Bytes{4});
}

TEST(HandOverRing, APacketLongerThanASlotIsRefused) {
  HandOverRing ring(4, 16);
  EXPECT_TRUE(ring.stage(Side::kV6, {}, Bytes(16, 7)));
  EXPECT_FALSE(ring.stage(Side::kV6, {}, Bytes(17, 7)));
}

TEST(HandOverRing, TwoThreadsPassEveryPacketInOrder) {
  constexpr std::uint32_t kPackets = 20000;
  HandOverRing ring(64, 16);
  std::thread writer([&ring] {
    for (std::uint32_t i = 0; i < kPackets;) {
      std::uint8_t bytes[4];
      std::memcpy(bytes, &i, sizeof i);
      const bool staged = ring.stage(Side::kV6, {}, bytes);
      ring.publish();
      if (staged) {
        ++i;
      } else {
        std::this_thread::yield();
      }
    }
  });
  std::uint32_t expected = 0;
  bool in_order = true;
  while (expected < kPackets) {
    const auto n = ring.drain(16, [&](Side, const FragmentNote&, std::span<const std::uint8_t> packet) {
      std::uint32_t i = 0;
      std::memcpy(&i, packet.data(), sizeof i);
      in_order = in_order && packet.size() == sizeof i && i == expected;
      ++expected;
    });
    if (n == 0) std::this_thread::yield();
  }
  writer.join();
  EXPECT_TRUE(in_order);
  EXPECT_EQ(expected, kPackets);
  EXPECT_TRUE(ring.empty());
}

}  // namespace
}  // namespace isthmus::nat64
