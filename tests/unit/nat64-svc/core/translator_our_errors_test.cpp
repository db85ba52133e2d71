// SPDX-License-Identifier: Apache-2.0
// ICMP errors that we originate, about packets that are not translated.
#include <gtest/gtest.h>

#include "nat64-svc/core/packet/parse.hpp"
#include "nat64-svc/core/translator.hpp"
#include "tests/support/nat64_harness.hpp"

namespace isthmus::nat64 {
namespace {

using namespace std::chrono_literals;
using test::Bytes;
using test::Nat64Harness;
using test::PacketBuilder;
using Action = Verdict::Action;

constexpr const char* kClient = "2001:db8:1::5";
constexpr const char* kServer6 = "64:ff9b::198.41.0.4";
constexpr const char* kServer4 = "198.41.0.4";

Bytes first(const Bytes& bytes, std::size_t n) {
  return {bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(std::min(n, bytes.size()))};
}

TEST(OurErrors, HopLimitUsedUpIsAnsweredWithTheWholePacket) {
  Nat64Harness nat;
  nat.apply(test::nat64_policy(), test::nat64_allocation(), {.own6 = *Ipv6Address::parse("2001:db8:1::ff")});
  const Bytes sent = PacketBuilder::ipv6(kClient, kServer6).ttl(1).udp(4000, 53).payload("x").bytes();
  const auto reply = nat.from_v6(sent);
  EXPECT_EQ(reply.verdict.action, Action::kReply);
  EXPECT_EQ(reply.verdict.out, Side::kV6);
  EXPECT_EQ(reply.packet, PacketBuilder::ipv6("2001:db8:1::ff", kClient).icmp(3, 0, 0, sent).bytes());
  EXPECT_EQ(nat.sessions(), 0U);
}

TEST(OurErrors, TtlUsedUpIsAnswered) {
  Nat64Harness nat;
  const Bytes sent = PacketBuilder::ipv4(kServer4, "203.0.113.1").ttl(1).udp(53, 4000).payload(900).bytes();
  const auto reply = nat.from_v4(sent);
  ASSERT_EQ(reply.verdict.action, Action::kReply);
  EXPECT_EQ(reply.packet, PacketBuilder::ipv4("203.0.113.1", kServer4)
                              .id(load_be16(&reply.packet[4]))
                              .traffic_class(0xc0)
                              .icmp(11, 0, 0, first(sent, 548))
                              .bytes());
}

TEST(OurErrors, TooBigIsToldWithTheMtuOfTheOtherSide) {
  Nat64Harness nat;
  nat.apply(test::nat64_policy(), test::nat64_allocation(), {.mtu6 = 1400, .mtu4 = 1300});
  const auto big6 = nat.from_v6(PacketBuilder::ipv6(kClient, kServer6).udp(4000, 53).payload(1300).bytes());
  ASSERT_EQ(big6.verdict.action, Action::kReply);
  EXPECT_EQ(big6.packet[40], icmp6::kPacketTooBig);
  EXPECT_EQ(load_be32(&big6.packet[44]), 1320U);
  EXPECT_EQ(big6.packet.size(), 1280U);
  const auto p =
      parse_ipv4(nat.from_v6(PacketBuilder::ipv6(kClient, kServer6).udp(4000, 53).bytes()).packet).value();
  const auto big4 = nat.from_v4(
      PacketBuilder::ipv4(kServer4, p.source.to_string()).df().udp(53, p.source_port).payload(1400).bytes());
  ASSERT_EQ(big4.verdict.action, Action::kReply);
  EXPECT_EQ(big4.packet[20], icmp4::kUnreachable);
  EXPECT_EQ(big4.packet[21], icmp4::kFragmentationNeeded);
  EXPECT_EQ(load_be32(&big4.packet[24]), 1380U);
}

TEST(OurErrors, APortThatLeadsNowhereIsHostUnreachable) {
  Nat64Harness nat;
  const auto reply = nat.from_v4(PacketBuilder::ipv4(kServer4, "203.0.113.1").udp(53, 4000).bytes());
  EXPECT_EQ(reply.verdict.action, Action::kReply);
  EXPECT_EQ(reply.verdict.reason, DropReason::kNoMapping);
  EXPECT_EQ(reply.packet[21], icmp4::kHostUnreachable);
}

TEST(OurErrors, NeverAnswerWhatTheRfcsForbid) {
  Nat64Harness nat;
  const Bytes inner = PacketBuilder::ipv4("203.0.113.1", kServer4).udp(4000, 53).bytes();
  const Bytes forbidden4[] = {
      PacketBuilder::ipv4(kServer4, "203.0.113.1").ttl(1).icmp(3, 3, 0, inner).bytes(),
      PacketBuilder::ipv4("224.0.0.5", "203.0.113.1").udp(53, 4000).bytes(),
      PacketBuilder::ipv4("127.0.0.1", "203.0.113.1").udp(53, 4000).bytes(),
      PacketBuilder::ipv4("0.0.0.0", "203.0.113.1").udp(53, 4000).bytes(),
      PacketBuilder::ipv4(kServer4, "203.0.113.1")
          .ttl(1)
          .fragment(64, false, 1)
          .protocol(17)
          .payload(8)
          .bytes(),
  };
  for (const auto& bytes : forbidden4)
    EXPECT_EQ(nat.from_v4(bytes).verdict.action, Action::kDrop) << test::describe(bytes);
  const Bytes forbidden6[] = {
      PacketBuilder::ipv6("ff02::1", kServer6).ttl(1).udp(1, 2).bytes(),
      PacketBuilder::ipv6("::", kServer6).ttl(1).udp(1, 2).bytes(),
      PacketBuilder::ipv6(kClient, "ff0e::1").ttl(1).udp(1, 2).bytes(),
      PacketBuilder::ipv6(kClient, kServer6).ttl(1).icmp(1, 0, 0, inner).bytes(),
  };
  for (const auto& bytes : forbidden6)
    EXPECT_EQ(nat.from_v6(bytes).verdict.action, Action::kDrop) << test::describe(bytes);
}

TEST(OurErrors, AreRateLimited) {
  auto policy = test::nat64_policy();
  policy.nat64.icmp_errors_per_second = 20;
  Nat64Harness nat{policy};
  const Bytes expired = PacketBuilder::ipv6(kClient, kServer6).ttl(1).udp(4000, 53).bytes();
  const auto answered = [&] {
    int n = 0;
    for (int i = 0; i < 100; ++i) n += nat.from_v6(expired).verdict.action == Action::kReply ? 1 : 0;
    return n;
  };
  EXPECT_EQ(answered(), 10);
  nat.advance(250ms);
  EXPECT_EQ(answered(), 5);
  EXPECT_EQ(nat.translator.counters().of(Event::kIcmpErrorLimited).get(), 185U);
}

// Anybody can send to ports that lead nowhere; path MTU discovery of others must not suffer.
TEST(OurErrors, AScanDoesNotUseUpThePacketTooBigs) {
  auto policy = test::nat64_policy();
  policy.nat64.icmp_errors_per_second = 20;
  Nat64Harness nat{policy};
  const auto p =
      parse_ipv4(nat.from_v6(PacketBuilder::ipv6(kClient, kServer6).udp(4000, 53).bytes()).packet).value();
  const Bytes scan = PacketBuilder::ipv4(kServer4, "203.0.113.1").udp(5555, 1).bytes();
  for (int i = 0; i < 100; ++i) (void)nat.from_v4(scan);
  EXPECT_EQ(nat.from_v4(scan).verdict.action, Action::kDrop);
  const auto big = nat.from_v4(
      PacketBuilder::ipv4(kServer4, p.source.to_string()).df().udp(53, p.source_port).payload(1472).bytes());
  EXPECT_EQ(big.verdict.action, Action::kReply);
  EXPECT_EQ(big.verdict.reason, DropReason::kTooBig);
}

TEST(OurErrors, NobodyInsideAPrefixGetsOne) {
  Nat64Harness nat;
  EXPECT_EQ(
      nat.from_v6(PacketBuilder::ipv6("64:ff9b::1.2.3.4", kServer6).ttl(1).udp(1, 2).bytes()).verdict.action,
      Action::kDrop);
  EXPECT_EQ(nat.from_v6(PacketBuilder::ipv6("64:ff9b::1.2.3.4", kServer6).protocol(50).payload(20).bytes())
                .verdict.action,
            Action::kDrop);
}

}  // namespace
}  // namespace isthmus::nat64
