// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/core/counters.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "tests/support/nat64_harness.hpp"
#include "tests/support/packet_builder.hpp"

namespace isthmus::nat64 {
namespace {

constexpr auto kClient = "2001:db8:1::5";
constexpr auto kServer6 = "64:ff9b::c000:201";

TEST(ProtocolSeen, IsWhatTheHeadersNameOrOther) {
  std::vector<std::uint8_t> four(20);
  four[0] = 0x45;
  four[9] = 17;
  EXPECT_EQ(protocol_seen(four), ProtocolSeen::kUdp);
  four[9] = 132;
  EXPECT_EQ(protocol_seen(four), ProtocolSeen::kOther);
  EXPECT_EQ(protocol_seen(std::span{four}.first(19)), ProtocolSeen::kOther);
  std::vector<std::uint8_t> six(48);
  six[0] = 0x60;
  six[6] = 58;
  EXPECT_EQ(protocol_seen(six), ProtocolSeen::kIcmp);
  six[6] = 44;  // a fragment header, and behind it TCP
  six[40] = 6;
  EXPECT_EQ(protocol_seen(six), ProtocolSeen::kTcp);
  EXPECT_EQ(protocol_seen(std::span{six}.first(40)), ProtocolSeen::kOther);
  six[6] = 0;  // hop-by-hop options
  EXPECT_EQ(protocol_seen(six), ProtocolSeen::kOther);
}

TEST(Counters, ADropIsCountedUnderItsProtocol) {
  test::Nat64Harness nat;
  const auto bytes = test::PacketBuilder::ipv6(kClient, kServer6).ttl(1).udp(1000, 53).bytes();
  ASSERT_EQ(nat.from_v6(bytes).verdict.reason, DropReason::kHopLimit);
  const auto& side = nat.translator.counters().of(Side::kV6);
  const auto of = [](const auto& table, ProtocolSeen protocol) {
    return table[static_cast<std::size_t>(protocol)][static_cast<std::size_t>(DropReason::kHopLimit)].get();
  };
  EXPECT_EQ(of(side.replied, ProtocolSeen::kUdp), 1U);
  EXPECT_EQ(of(side.replied, ProtocolSeen::kTcp), 0U);
  EXPECT_EQ(of(side.replied, ProtocolSeen::kOther), 0U);
  EXPECT_EQ(side.drops(DropReason::kHopLimit), 0U);
}

}  // namespace
}  // namespace isthmus::nat64
