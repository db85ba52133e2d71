// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/core/rfc7915/fragment.hpp"

#include <gtest/gtest.h>

#include "tests/support/fragments.hpp"
#include "tests/support/packet_builder.hpp"

namespace isthmus::nat64 {
namespace {

using test::Bytes;
using test::PacketBuilder;

// The fragments in order, and what the function said.
std::vector<Bytes> cut_ipv4(const Bytes& packet, std::uint32_t mtu) {
  Bytes frame = packet;
  PacketBuffer buffer{frame, 0, frame.size()};
  ExtraQueue extra{1 << 16};
  const auto pieces = fragment_ipv4(buffer, mtu, extra);
  std::vector<Bytes> out{Bytes(buffer.packet().begin(), buffer.packet().end())};
  extra.drain([&](Side side, std::span<const std::uint8_t> p) {
    EXPECT_EQ(side, Side::kV4);
    out.emplace_back(p.begin(), p.end());
  });
  EXPECT_TRUE(pieces);
  EXPECT_EQ(pieces.value_or(0), out.size());
  return out;
}

Bytes datagram() {
  return PacketBuilder::ipv4("203.0.113.1", "198.41.0.4").id(0x4321).udp(1, 2).payload(1200).bytes();
}

TEST(FragmentIpv4, PiecesFitAndMakeTheWholeAgain) {
  for (const std::uint32_t mtu : {68U, 576U, 600U, 1227U}) {
    const auto pieces = cut_ipv4(datagram(), mtu);
    for (const auto& p : pieces) {
      EXPECT_LE(p.size(), mtu);
      EXPECT_EQ(test::checksum_fault(p), "");
      EXPECT_EQ(load_be16(&p[4]), 0x4321);
    }
    EXPECT_EQ(test::put_together(pieces), datagram()) << mtu;
  }
}

TEST(FragmentIpv4, AFragmentIsCutOnWithItsPlaceAndItsMark) {
  const auto middle = test::cut_into_fragments(datagram(), 800, 0x4321).at(0);
  const auto end = test::cut_into_fragments(datagram(), 800, 0x4321).at(1);
  auto pieces = cut_ipv4(middle, 576);
  const auto rest = cut_ipv4(end, 300);
  pieces.insert(pieces.end(), rest.begin(), rest.end());
  EXPECT_EQ(pieces.size(), 4U);
  EXPECT_EQ(test::put_together(pieces), datagram());
}

TEST(FragmentIpv4, WithoutRoomNothingIsQueued) {
  Bytes frame = datagram();
  PacketBuffer buffer{frame, 0, frame.size()};
  ExtraQueue extra{700};
  const auto pieces = fragment_ipv4(buffer, 500, extra);
  ASSERT_FALSE(pieces);
  EXPECT_EQ(pieces.error().reason, DropReason::kNoRoom);
  EXPECT_TRUE(extra.empty());
}

}  // namespace
}  // namespace isthmus::nat64
