// SPDX-License-Identifier: Apache-2.0
#include "common/net/checksum.hpp"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace isthmus {
namespace {

TEST(Checksum, Rfc1071Example) {
  // RFC 1071 §3: the sum of 00 01 f2 03 f4 f5 f6 f7 is ddf2.
  const std::vector<std::uint8_t> bytes{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
  EXPECT_EQ(fold(sum_bytes(bytes)), 0xddf2);
}

TEST(Checksum, OddLengthIsPaddedWithZero) {
  const std::vector<std::uint8_t> odd{0x12, 0x34, 0x56};
  const std::vector<std::uint8_t> even{0x12, 0x34, 0x56, 0x00};
  EXPECT_EQ(fold(sum_bytes(odd)), fold(sum_bytes(even)));
}

TEST(Checksum, IncrementalUpdateEqualsRecomputing) {
  std::mt19937 random{7};
  for (int round = 0; round < 2000; ++round) {
    std::vector<std::uint8_t> bytes(40);
    for (auto& b : bytes) b = static_cast<std::uint8_t>(random());
    const auto before = finish(sum_bytes(bytes));
    const std::vector<std::uint8_t> old(bytes.begin() + 8, bytes.begin() + 16);
    for (int i = 8; i < 16; ++i) bytes[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(random());
    const std::vector<std::uint8_t> fresh(bytes.begin() + 8, bytes.begin() + 16);
    EXPECT_EQ(update_checksum(before, sum_bytes(old), sum_bytes(fresh)), finish(sum_bytes(bytes)));
  }
}

TEST(Checksum, AddressSumsAreTheSumsOfTheirBytes) {
  const Ipv4Address a4{203, 0, 113, 7};
  std::uint8_t b4[4];
  a4.store(b4);
  EXPECT_EQ(fold(sum_of(a4)), fold(sum_bytes(b4)));
  const auto a6 = Ipv6Address::parse("2001:db8:1:2:3:4:5:6").value();
  EXPECT_EQ(fold(sum_of(a6)), fold(sum_bytes(a6.bytes())));
}

}  // namespace
}  // namespace isthmus
