// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/core/rfc7915/fragmented_udp.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace isthmus::nat64 {
namespace {

const Ipv4Address kFrom{198, 41, 0, 4};
const Ipv4Address kTo{203, 0, 113, 1};

// Ports 1 and 2, length 21, no checksum, then 13 bytes.
const std::vector<std::uint8_t> kDatagram{0, 1, 0, 2, 0, 21, 0, 0, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 1, 2, 3};
std::uint16_t sum_in_one() {
  const DatagramPiece whole{0, true, kDatagram};
  return checksum_of_pieces(kFrom, kTo, {&whole, 1}).value_or(0);
}

std::vector<DatagramPiece> pieces() {
  const std::span all{kDatagram};
  return {{0, false, all.first(8)}, {8, false, all.subspan(8, 8)}, {16, true, all.subspan(16)}};
}

TEST(FragmentedUdp, TheSumIsThatOfRfc768) {
  // Addresses, protocol and length of the pseudo-header; ports and length; data, padded.
  std::uint32_t sum = 0;
  for (const std::uint32_t word : {0xc629U, 0x0004U, 0xcb00U, 0x7101U, 0x0011U, 0x0015U, 0x0001U, 0x0002U,
                                   0x0015U, 0x0908U, 0x0706U, 0x0504U, 0x0302U, 0x0100U, 0x0102U, 0x0300U})
    sum += word;
  EXPECT_EQ(sum_in_one(), static_cast<std::uint16_t>(~((sum & 0xffff) + (sum >> 16))));
}

TEST(FragmentedUdp, TheOrderOfThePiecesDoesNotMatterNorDoDoubles) {
  auto some = pieces();
  std::vector<int> order{0, 1, 2};
  do {
    std::vector<DatagramPiece> shuffled;
    for (const int i : order) shuffled.push_back(some[static_cast<std::size_t>(i)]);
    EXPECT_EQ(checksum_of_pieces(kFrom, kTo, shuffled), sum_in_one());
    shuffled.push_back(shuffled.front());
    EXPECT_EQ(checksum_of_pieces(kFrom, kTo, shuffled), sum_in_one());
  } while (std::ranges::next_permutation(order).found);
}

TEST(FragmentedUdp, NoSumWhileAPieceIsMissing) {
  for (std::size_t missing = 0; missing < 3; ++missing) {
    auto some = pieces();
    some.erase(some.begin() + static_cast<std::ptrdiff_t>(missing));
    EXPECT_FALSE(checksum_of_pieces(kFrom, kTo, some)) << missing;
  }
  EXPECT_FALSE(checksum_of_pieces(kFrom, kTo, {}));
}

TEST(FragmentedUdp, PiecesWithoutBytesOrThatOverlapEndIt) {
  const std::span all{kDatagram};
  const std::vector<DatagramPiece> endless{{0, false, all.first(8)}, {8, false, {}}};
  EXPECT_FALSE(checksum_of_pieces(kFrom, kTo, endless));
  const std::vector<DatagramPiece> overlapping{{0, false, all.first(16)}, {8, true, all.subspan(8)}};
  EXPECT_FALSE(checksum_of_pieces(kFrom, kTo, overlapping));
}

TEST(FragmentedUdp, TheLengthInTheUdpHeaderCounts) {
  auto padded = kDatagram;
  padded.insert(padded.end(), {0xff, 0xff, 0xff});
  const DatagramPiece whole{0, true, padded};
  EXPECT_EQ(checksum_of_pieces(kFrom, kTo, {&whole, 1}), sum_in_one());
  for (const int length : {0, 7, 25}) {
    auto wrong = padded;
    wrong[5] = static_cast<std::uint8_t>(length);
    const DatagramPiece bad{0, true, wrong};
    EXPECT_FALSE(checksum_of_pieces(kFrom, kTo, {&bad, 1})) << length;
  }
}

TEST(FragmentedUdp, ASumOfZeroIsSentAsAllOnes) {
  auto bytes = kDatagram;
  bytes.push_back(0);
  bytes[5] = 22;
  const DatagramPiece before{0, true, bytes};
  // Adding what is missing to all ones makes the sum ffff, whose complement is zero.
  const auto missing = checksum_of_pieces(kFrom, kTo, {&before, 1}).value();
  bytes[8] = 0, bytes[9] = 0;
  const DatagramPiece without{0, true, bytes};
  const auto fill = checksum_of_pieces(kFrom, kTo, {&without, 1}).value();
  bytes[8] = static_cast<std::uint8_t>(fill >> 8), bytes[9] = static_cast<std::uint8_t>(fill);
  const DatagramPiece filled{0, true, bytes};
  EXPECT_NE(missing, 0xffff);
  EXPECT_EQ(checksum_of_pieces(kFrom, kTo, {&filled, 1}), 0xffff);
}

}  // namespace
}  // namespace isthmus::nat64
