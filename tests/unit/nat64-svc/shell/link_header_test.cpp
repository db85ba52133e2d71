// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/link_header.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <vector>

namespace isthmus::nat64 {
namespace {

constexpr Way kPlain{0, 1500, {{2, 0, 0, 0, 4, 2}}, {{2, 0, 0, 0, 4, 1}}, 0};
constexpr Way kTagged{0, 1500, {{2, 0, 0, 0, 4, 2}}, {{2, 0, 0, 0, 4, 1}}, 4094};
constexpr std::size_t kPacket = 20;

std::vector<std::uint8_t> frame_with(std::uint8_t first_byte) {
  std::vector<std::uint8_t> frame(64, 0xee);
  frame[kPacket] = first_byte;
  return frame;
}

std::vector<std::uint8_t> header_of(const Way& way, std::uint8_t first_byte) {
  auto frame = frame_with(first_byte);
  const auto length = store_link_header(frame, kPacket, way);
  EXPECT_TRUE(std::all_of(frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(kPacket - length),
                          [](auto byte) { return byte == 0xee; }));
  EXPECT_EQ(frame[kPacket], first_byte);
  return {frame.begin() + static_cast<std::ptrdiff_t>(kPacket - length),
          frame.begin() + static_cast<std::ptrdiff_t>(kPacket)};
}

TEST(LinkHeader, IsEthernetWithoutAVlan) {
  EXPECT_EQ(header_of(kPlain, 0x45),
            (std::vector<std::uint8_t>{2, 0, 0, 0, 4, 2, 2, 0, 0, 0, 4, 1, 0x08, 0x00}));
  EXPECT_EQ(header_of(kPlain, 0x60),
            (std::vector<std::uint8_t>{2, 0, 0, 0, 4, 2, 2, 0, 0, 0, 4, 1, 0x86, 0xdd}));
}

TEST(LinkHeader, BearsTheTagOfItsVlan) {
  EXPECT_EQ(header_of(kTagged, 0x45), (std::vector<std::uint8_t>{2, 0, 0, 0, 4, 2, 2, 0, 0, 0, 4, 1, 0x81,
                                                                 0x00, 0x0f, 0xfe, 0x08, 0x00}));
  EXPECT_EQ(header_of(kTagged, 0x60), (std::vector<std::uint8_t>{2, 0, 0, 0, 4, 2, 2, 0, 0, 0, 4, 1, 0x81,
                                                                 0x00, 0x0f, 0xfe, 0x86, 0xdd}));
}

TEST(LinkHeader, IsReadAsItWasWritten) {
  for (const auto& [way, length] : {std::pair{kPlain, kEthernetHeader}, std::pair{kTagged, kLinkHeader}}) {
    const auto bytes = header_of(way, 0x60);
    const auto header = parse_link_header(bytes);
    EXPECT_EQ(header.ethertype, kEthertypeIpv6);
    EXPECT_EQ(header.length, length);
  }
}

TEST(LinkHeader, ATagThatIsCutOffIsNoIp) {
  const auto whole = header_of(kTagged, 0x60);
  for (std::size_t length = kEthernetHeader; length < kLinkHeader; ++length) {
    const auto header = parse_link_header(std::span(whole).first(length));
    EXPECT_EQ(header.ethertype, kEthertypeVlan);
    EXPECT_LE(header.length, length);
  }
}

TEST(LinkHeader, OfTwoTagsOneIsRead) {
  auto bytes = header_of(kTagged, 0x60);
  bytes[16] = 0x81;
  bytes[17] = 0x00;
  EXPECT_EQ(parse_link_header(bytes).ethertype, kEthertypeVlan);
}

}  // namespace
}  // namespace isthmus::nat64
