// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <array>

#include "nat64-svc/shell/capture/capture_tap.hpp"
#include "nat64-svc/shell/capture/pcapng.hpp"
#include "tests/support/packet_builder.hpp"

namespace isthmus::nat64 {
namespace {

using test::Bytes;
using test::PacketBuilder;

const Bytes kSix =
    PacketBuilder::ipv6("2001:db8:1::5", "64:ff9b::198.41.0.4").udp(4000, 53).payload(100).bytes();
const Bytes kFour = PacketBuilder::ipv4("203.0.113.1", "198.41.0.4").udp(2048, 53).payload(100).bytes();

std::vector<CapturedPacket> taken(CaptureTap& tap) {
  std::vector<CapturedPacket> all;
  for (CapturedPacket packet; tap.take(packet);) all.push_back(packet);
  return all;
}

CaptureFilter only(Protocol protocol) {
  CaptureFilter filter;
  filter.protocol = protocol;
  return filter;
}
CaptureFilter client(const char* prefix) {
  CaptureFilter filter;
  filter.client6 = Ipv6Prefix::parse(prefix);
  return filter;
}
CaptureFilter server(const char* prefix) {
  CaptureFilter filter;
  filter.server4 = Ipv4Prefix::parse(prefix);
  return filter;
}
CaptureFilter with_port(std::uint16_t port) {
  CaptureFilter filter;
  filter.port = port;
  return filter;
}

bool passes(const CaptureFilter& filter) {
  CaptureTap tap(filter, 256);
  tap.before(0, Side::kV6, kSix);
  tap.after(0, Verdict::forward(Side::kV4), kFour, {});
  return !taken(tap).empty();
}

TEST(CaptureTap, APacketIsThereBeforeAndAfter) {
  CaptureTap tap({}, 64);
  tap.before(3, Side::kV6, kSix);
  tap.after(3, Verdict::forward(Side::kV4), kFour, TimePoint{std::chrono::seconds{7}});
  const auto all = taken(tap);
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].stage, CaptureStage::kBefore);
  EXPECT_EQ(all[0].side, Side::kV6);
  EXPECT_EQ(all[0].length, kSix.size());
  EXPECT_EQ(all[0].bytes, Bytes(kSix.begin(), kSix.begin() + 64));
  EXPECT_EQ(all[1].stage, CaptureStage::kAfter);
  EXPECT_EQ(all[1].side, Side::kV4);
}

TEST(CaptureTap, ADropIsThereOnceWithItsReasonAndAHandOverIsNot) {
  CaptureTap tap({}, 64);
  tap.before(0, Side::kV6, kSix);
  tap.after(0, Verdict::drop(DropReason::kExcluded), {}, {});
  tap.before(1, Side::kV6, kSix);
  tap.after(1, Verdict::hand_over(1), kSix, {});
  const auto all = taken(tap);
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].verdict.reason, DropReason::kExcluded);
}

TEST(CaptureTap, EveryFieldOfTheFilterChooses) {
  EXPECT_TRUE(passes({}));
  EXPECT_TRUE(passes(only(Protocol::kUdp)));
  EXPECT_FALSE(passes(only(Protocol::kTcp)));
  EXPECT_TRUE(passes(client("2001:db8:1::/64")));
  EXPECT_FALSE(passes(client("2001:db8:2::/64")));
  EXPECT_TRUE(passes(server("198.41.0.4/32")));
  EXPECT_FALSE(passes(server("203.0.113.1/32")));
  EXPECT_TRUE(passes(with_port(4000)));
  EXPECT_TRUE(passes(with_port(2048)));
  EXPECT_FALSE(passes(with_port(80)));
}

TEST(CaptureTap, ADroppedPacketIsChosenByItsEmbeddedServer) {
  CaptureTap tap(server("198.41.0.4/32"), 64);
  tap.before(0, Side::kV6, kSix);
  tap.after(0, Verdict::drop(DropReason::kExcluded), {}, {});
  EXPECT_EQ(taken(tap).size(), 1U);
}

// 2001:db8:1::5 talks to the public address of 2001:db8:2::6, and both are clients.
TEST(CaptureTap, AHairpinIsChosenByEitherClientAndByEitherPublicAddress) {
  const Bytes out = PacketBuilder::ipv6("64:ff9b::203.0.113.1", "2001:db8:2::6").udp(2048, 80).bytes();
  const auto turns = [&](const CaptureFilter& filter) {
    CaptureTap tap(filter, 256);
    tap.before(0, Side::kV6,
               PacketBuilder::ipv6("2001:db8:1::5", "64:ff9b::203.0.113.2").udp(4000, 3000).bytes());
    tap.after(0, Verdict::forward(Side::kV6), out, {});
    return taken(tap).size() == 2;
  };
  EXPECT_TRUE(turns(client("2001:db8:1::5/128")));
  EXPECT_TRUE(turns(client("2001:db8:2::6/128")));
  EXPECT_FALSE(turns(client("64:ff9b::/96")));
  EXPECT_TRUE(turns(server("203.0.113.2/32")));
  EXPECT_TRUE(turns(server("203.0.113.1/32")));
  EXPECT_FALSE(turns(server("203.0.113.3/32")));
  for (const auto port : std::array<std::uint16_t, 4>{4000, 3000, 2048, 80})
    EXPECT_TRUE(turns(with_port(port))) << port;
  EXPECT_FALSE(turns(with_port(443)));
}

// A router far away says that the client's packet to 198.41.0.4 did not arrive.
TEST(CaptureTap, AnIcmpErrorIsChosenByThePacketInside) {
  const Bytes error = PacketBuilder::ipv4("192.0.2.9", "203.0.113.1").icmp(3, 1, 0, kFour).bytes();
  const Bytes out = PacketBuilder::ipv6("64:ff9b::192.0.2.9", "2001:db8:1::5").icmp(1, 0, 0, kSix).bytes();
  const auto shows = [&](const CaptureFilter& filter) {
    CaptureTap tap(filter, 256);
    tap.before(0, Side::kV4, error);
    tap.after(0, Verdict::forward(Side::kV6), out, {});
    return taken(tap).size() == 2;
  };
  for (const auto port : std::array<std::uint16_t, 3>{2048, 53, 4000})
    EXPECT_TRUE(shows(with_port(port))) << port;
  EXPECT_FALSE(shows(with_port(80)));
  EXPECT_TRUE(shows(client("2001:db8:1::5/128")));
  EXPECT_TRUE(shows(server("198.41.0.4/32")));
  EXPECT_TRUE(shows(server("192.0.2.9/32")));
  EXPECT_FALSE(shows(server("203.0.113.1/32")));
  EXPECT_TRUE(shows(only(Protocol::kUdp)));
  EXPECT_TRUE(shows(only(Protocol::kIcmp)));
  EXPECT_FALSE(shows(only(Protocol::kTcp)));
}

TEST(CaptureTap, AFullRingLosesTheNewestAndCountsThem) {
  CaptureTap tap({}, 64, 2);
  for (int i = 0; i < 3; ++i) {
    tap.before(0, Side::kV6, kSix);
    tap.after(0, Verdict::forward(Side::kV4), kFour, {});
  }
  EXPECT_EQ(taken(tap).size(), 2U);
  EXPECT_EQ(tap.lost(), 4U);
}

TEST(CaptureTap, BytesThatAreNoPacketDoNotHurt) {
  CaptureTap tap({}, 64);
  for (const Bytes& bytes : {Bytes{}, Bytes{0x60}, Bytes(20, 0x45), Bytes(200, 0xff)}) {
    tap.before(0, Side::kV6, bytes);
    tap.after(0, Verdict::drop(DropReason::kTruncated), {}, {});
  }
  EXPECT_EQ(taken(tap).size(), 4U);
}

std::uint32_t word(const std::string& text, std::size_t at) {
  std::uint32_t value = 0;
  for (int i = 3; i >= 0; --i)
    value = value << 8 | static_cast<std::uint8_t>(text[at + static_cast<std::size_t>(i)]);
  return value;
}

TEST(Pcapng, BlocksHaveTheirLengthAtBothEndsAndAreAligned) {
  std::string file;
  pcapng::begin(file, 256, "gw1");
  pcapng::add(file, {.unix_nanoseconds = 5, .length = 7, .bytes = Bytes{1, 2, 3}, .comment = "why"});
  std::vector<std::uint32_t> types;
  for (std::size_t at = 0; at < file.size();) {
    ASSERT_LE(at + 12, file.size());
    const auto length = word(file, at + 4);
    ASSERT_EQ(length % 4, 0U);
    ASSERT_LE(at + length, file.size());
    ASSERT_EQ(word(file, at + length - 4), length);
    types.push_back(word(file, at));
    at += length;
  }
  EXPECT_EQ(types, (std::vector<std::uint32_t>{0x0a0d0d0a, 1, 6}));
}

}  // namespace
}  // namespace isthmus::nat64
