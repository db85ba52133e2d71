// SPDX-License-Identifier: Apache-2.0
// ICMP errors of others, translated; translator_our_errors_test.cpp and translator_errors_test.cpp have those
// that we originate.
#include <gtest/gtest.h>

#include <set>

#include "common/rfc6052/embed.hpp"
#include "nat64-svc/core/explain.hpp"
#include "nat64-svc/core/packet/parse.hpp"
#include "nat64-svc/core/translator.hpp"
#include "tests/support/fragments.hpp"
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

// The packet inside an error, without the outer headers.
Bytes inside(const Bytes& error) {
  return {error.begin() + (error[0] >> 4 == 6 ? 48 : 28), error.end()};
}

TEST(IcmpErrors, FromARouterOnTheWayReachTheClientWithItsOwnPacketInside) {
  Nat64Harness nat;
  const Bytes sent6 = PacketBuilder::ipv6(kClient, kServer6).udp(4000, 53).payload("question").bytes();
  const Bytes sent4 = nat.from_v6(sent6).packet;
  const auto p = parse_ipv4(sent4).value();
  const auto back =
      nat.from_v4(PacketBuilder::ipv4("198.41.9.9", p.source.to_string()).icmp(11, 0, 0, sent4).bytes());
  ASSERT_EQ(back.verdict.action, Action::kForward) << kDropReasonNames[back.verdict.reason];
  EXPECT_EQ(test::checksum_fault(back.packet), "");
  EXPECT_EQ(Ipv6Address::load(&back.packet[8]).to_string(), "64:ff9b::c629:909");
  EXPECT_EQ(Ipv6Address::load(&back.packet[24]).to_string(), kClient);
  EXPECT_EQ(back.packet[40], icmp6::kTimeExceeded);
  Bytes want = sent6;
  want[7] = 63;  // the hop limit it had when it was translated
  EXPECT_EQ(inside(back.packet), want);
}

// RFC 6146 §3.8, RFC 5508 REQ-7: one client's error about a packet that another client sent to it.
TEST(IcmpErrors, BetweenTwoClientsArriveWithTheSendersOwnPacketInside) {
  Nat64Harness nat;
  const char* other = "2001:db8:1:2::9";
  const auto open = nat.from_v6(PacketBuilder::ipv6(other, kServer6).udp(7000, 53).bytes());
  const auto mapped = parse_ipv4(open.packet).value();
  const auto to = embed(*Pref64::parse("2001:db8:64::/48"), mapped.source).to_string();
  const Bytes sent = PacketBuilder::ipv6(kClient, to).udp(4000, mapped.source_port).payload("hi").bytes();
  const auto arrived = nat.from_v6(sent);
  ASSERT_EQ(arrived.verdict.action, Action::kForward) << kDropReasonNames[arrived.verdict.reason];
  ASSERT_EQ(arrived.verdict.out, Side::kV6);

  const auto error = PacketBuilder::ipv6(other, parse_ipv6(arrived.packet)->source.to_string())
                         .icmp(icmp6::kUnreachable, icmp6::kPortUnreachable, 0, arrived.packet)
                         .bytes();
  const auto back = nat.from_v6(error);
  ASSERT_EQ(back.verdict.action, Action::kForward) << kDropReasonNames[back.verdict.reason];
  EXPECT_EQ(back.verdict.out, Side::kV6);
  EXPECT_EQ(test::checksum_fault(back.packet), "");
  EXPECT_EQ(Ipv6Address::load(&back.packet[24]).to_string(), kClient);
  EXPECT_EQ(back.packet[kIpv6Header], icmp6::kUnreachable);
  EXPECT_EQ(back.packet[kIpv6Header + 1], icmp6::kPortUnreachable);
  const auto quoted = inside(back.packet);
  EXPECT_EQ(Ipv6Address::load(&quoted[8]).to_string(), kClient);
  EXPECT_EQ(Ipv6Address::load(&quoted[24]).to_string(), to);
  EXPECT_EQ(Bytes(quoted.begin() + 40, quoted.end()), Bytes(sent.begin() + 40, sent.end()));
}

// RFC 6146 §3.8: the way to the other client is narrower. Its sender must hear of it, or waits for ever.
TEST(IcmpErrors, OfOursAboutTheSecondHalfOfAHairpinGoToTheClientThatSent) {
  Nat64Harness nat;
  const char* other = "2001:db8:1:2::9";
  const auto open = nat.from_v6(PacketBuilder::ipv6(other, kServer6).udp(7000, 53).bytes());
  const auto mapped = parse_ipv4(open.packet).value();
  const auto to = embed(*Pref64::parse("2001:db8:64::/48"), mapped.source).to_string();
  nat.translator.set_route_mtu(
      [](void*, Side side, std::span<const std::uint8_t>) -> std::uint32_t {
        return side == Side::kV6 ? 1400 : 1500;
      },
      nullptr);
  const auto packet = [&](std::uint8_t hops, std::uint16_t port, std::size_t length) {
    return PacketBuilder::ipv6(kClient, to).ttl(hops).udp(4000, port).payload(length).bytes();
  };
  struct {
    Bytes sent;
    DropReason reason;
    std::uint8_t type, code;
    std::uint32_t rest;
  } const rows[] = {
      {packet(64, mapped.source_port, 1353), DropReason::kTooBig, icmp6::kPacketTooBig, 0, 1400},
      {packet(2, mapped.source_port, 9), DropReason::kHopLimit, icmp6::kTimeExceeded, 0, 0},
      {packet(64, mapped.source_port ^ 1, 9), DropReason::kNoMapping, icmp6::kUnreachable, icmp6::kNoRoute,
       0},
  };
  for (const auto& row : rows) {
    const auto got = nat.from_v6(row.sent);
    EXPECT_EQ(kDropReasonNames[got.verdict.reason], kDropReasonNames[row.reason]);
    ASSERT_EQ(got.verdict.action, Action::kReply);
    EXPECT_EQ(got.verdict.out, Side::kV6);
    EXPECT_EQ(test::checksum_fault(got.packet), "");
    EXPECT_EQ(Ipv6Address::load(&got.packet[24]).to_string(), kClient);
    EXPECT_EQ(got.packet[kIpv6Header], row.type);
    EXPECT_EQ(got.packet[kIpv6Header + 1], row.code);
    EXPECT_EQ(load_be32(&got.packet[kIpv6Header + 4]), row.rest);
    EXPECT_EQ(inside(got.packet), first(row.sent, 1280 - 48));
  }
  EXPECT_EQ(nat.from_v6(packet(64, mapped.source_port, 1352)).verdict.action, Action::kForward);
}

TEST(IcmpErrors, FromTheClientReachTheServerWithItsOwnPacketInside) {
  Nat64Harness nat;
  const auto p =
      parse_ipv4(nat.from_v6(PacketBuilder::ipv6(kClient, kServer6).udp(4000, 53).bytes()).packet).value();
  const Bytes answer4 =
      PacketBuilder::ipv4(kServer4, p.source.to_string()).udp(53, p.source_port).payload("answer").bytes();
  const Bytes answer6 = nat.from_v4(answer4).packet;
  const auto sent = nat.from_v6(PacketBuilder::ipv6(kClient, kServer6).icmp(1, 4, 0, answer6).bytes());
  ASSERT_EQ(sent.verdict.action, Action::kForward) << kDropReasonNames[sent.verdict.reason];
  EXPECT_EQ(test::checksum_fault(sent.packet), "");
  EXPECT_EQ(Ipv4Address::load(&sent.packet[12]), p.source);
  EXPECT_EQ(Ipv4Address::load(&sent.packet[16]).to_string(), kServer4);
  EXPECT_EQ(sent.packet[20], icmp4::kUnreachable);
  EXPECT_EQ(sent.packet[21], icmp4::kPortUnreachable);
  const Bytes quoted = inside(sent.packet);
  EXPECT_EQ(test::checksum_fault(quoted), "");
  EXPECT_EQ(Bytes(quoted.begin() + 20, quoted.end()), Bytes(answer4.begin() + 20, answer4.end()));
  EXPECT_EQ(Ipv4Address::load(&quoted[12]).to_string(), kServer4);
  EXPECT_EQ(Ipv4Address::load(&quoted[16]), p.source);
}

// RFC 7915 §5.1 and RFC 6864: without DF a router may cut it, so no two alike.
TEST(IcmpErrors, OnTheirWayToIpv4HaveAnIdentificationOfTheirOwn) {
  Nat64Harness nat;
  const auto p =
      parse_ipv4(nat.from_v6(PacketBuilder::ipv6(kClient, kServer6).udp(4000, 53).bytes()).packet).value();
  const Bytes answer =
      nat.from_v4(PacketBuilder::ipv4(kServer4, p.source.to_string()).udp(53, p.source_port).bytes()).packet;
  const Bytes nobodys = PacketBuilder::ipv4(kServer4, "203.0.113.1").udp(53, 5).bytes();
  std::set<std::uint16_t> translated, own;
  for (int i = 0; i < 8; ++i) {
    const auto error = nat.from_v6(PacketBuilder::ipv6(kClient, kServer6).icmp(1, 4, 0, answer).bytes());
    ASSERT_EQ(error.verdict.action, Action::kForward);
    EXPECT_EQ(load_be16(&error.packet[6]), 0);
    translated.insert(load_be16(&error.packet[4]));
    const auto reply = nat.from_v4(nobodys);
    ASSERT_EQ(reply.verdict.action, Action::kReply);
    own.insert(load_be16(&reply.packet[4]));
  }
  EXPECT_GT(translated.size(), 6U);
  EXPECT_GT(own.size(), 6U);
}

// RFC 4884 §7: an extension structure with one object of class 1 (MPLS), checksum left to the receiver.
Bytes mpls_extension() {
  return {0x20, 0x00, 0x00, 0x00, 0x00, 0x08, 0x01, 0x01, 0x12, 0x34, 0x51, 0x01};
}

// An original datagram before extensions: `quoted` padded with zeros to `length`.
Bytes extended(Bytes quoted, std::size_t length) {
  quoted.resize(length);
  const auto extension = mpls_extension();
  quoted.insert(quoted.end(), extension.begin(), extension.end());
  return quoted;
}

TEST(IcmpExtensions, FollowTheDatagramWhoseLengthIsToldInTheUnitsOfIpv6) {
  Nat64Harness nat;
  const Bytes sent6 = PacketBuilder::ipv6(kClient, kServer6).udp(4000, 53).payload(97).bytes();
  const Bytes sent4 = nat.from_v6(sent6).packet;
  ASSERT_EQ(sent4.size(), 125U);
  const auto p = parse_ipv4(sent4).value();
  // 128 bytes are 32 words of 32 bits.
  const auto back = nat.from_v4(PacketBuilder::ipv4("198.41.9.9", p.source.to_string())
                                    .icmp(11, 0, 32U << 16, extended(sent4, 128))
                                    .bytes());
  ASSERT_EQ(back.verdict.action, Action::kForward) << kDropReasonNames[back.verdict.reason];
  EXPECT_EQ(test::checksum_fault(back.packet), "");
  Bytes want = sent6;
  want[7] = 63;
  // 145 bytes become 152: 19 words of 64 bits.
  EXPECT_EQ(load_be32(&back.packet[44]), 19U << 24);
  EXPECT_EQ(inside(back.packet), extended(want, 152));
}

TEST(IcmpExtensions, FollowTheDatagramWhoseLengthIsToldInTheUnitsOfIpv4) {
  Nat64Harness nat;
  const auto p =
      parse_ipv4(nat.from_v6(PacketBuilder::ipv6(kClient, kServer6).udp(4000, 53).bytes()).packet).value();
  const Bytes answer4 =
      PacketBuilder::ipv4(kServer4, p.source.to_string()).udp(53, p.source_port).payload(101).bytes();
  const Bytes answer6 = nat.from_v4(answer4).packet;
  const auto sent = nat.from_v6(
      PacketBuilder::ipv6(kClient, kServer6).icmp(1, 0, 19U << 24, extended(answer6, 152)).bytes());
  ASSERT_EQ(sent.verdict.action, Action::kForward) << kDropReasonNames[sent.verdict.reason];
  EXPECT_EQ(test::checksum_fault(sent.packet), "");
  // 129 bytes become 132: 33 words of 32 bits.
  EXPECT_EQ(load_be32(&sent.packet[24]), 33U << 16);
  const Bytes quoted = inside(sent.packet);
  ASSERT_EQ(quoted.size(), 132 + mpls_extension().size());
  EXPECT_EQ(Bytes(quoted.begin() + 132, quoted.end()), mpls_extension());
  EXPECT_EQ(Bytes(quoted.begin() + 28, quoted.begin() + 129), Bytes(answer4.begin() + 28, answer4.end()));
  EXPECT_EQ(Bytes(quoted.begin() + 129, quoted.begin() + 132), Bytes(3));
}

TEST(IcmpExtensions, AreLeftOutOfErrorsThatCannotHaveThem) {
  Nat64Harness nat;
  const Bytes sent4 =
      nat.from_v6(PacketBuilder::ipv6(kClient, kServer6).udp(4000, 53).payload(97).bytes()).packet;
  const auto p = parse_ipv4(sent4).value();
  // Fragmentation Needed becomes Packet Too Big, whose word after the checksum is the MTU.
  const auto back = nat.from_v4(PacketBuilder::ipv4("198.41.9.9", p.source.to_string())
                                    .icmp(3, 4, 32U << 16 | 1400, extended(sent4, 128))
                                    .bytes());
  ASSERT_EQ(back.verdict.action, Action::kForward) << kDropReasonNames[back.verdict.reason];
  EXPECT_EQ(test::checksum_fault(back.packet), "");
  EXPECT_EQ(load_be32(&back.packet[44]), 1420U);
  EXPECT_EQ(inside(back.packet).size(), 145U);
}

TEST(IcmpErrors, FromASourceInsideAPrefixAreDropped) {
  Nat64Harness nat;
  const auto p =
      parse_ipv4(nat.from_v6(PacketBuilder::ipv6(kClient, kServer6).udp(4000, 53).bytes()).packet).value();
  const auto answer =
      nat.from_v4(PacketBuilder::ipv4(kServer4, p.source.to_string()).udp(53, p.source_port).bytes()).packet;
  const auto error = PacketBuilder::ipv6("64:ff9b::1.2.3.4", kServer6).icmp(1, 4, 0, answer).bytes();
  EXPECT_EQ(nat.translator.explain(Side::kV6, error, nat.now).verdict.reason, DropReason::kSourceInPrefix);
  const auto verdict = nat.from_v6(error).verdict;
  EXPECT_EQ(verdict.action, Action::kDrop);
  EXPECT_EQ(verdict.reason, DropReason::kSourceInPrefix);
}

TEST(IcmpErrors, EightBytesOfTheTransportHeaderAreEnough) {
  Nat64Harness nat;
  const Bytes sent4 =
      nat.from_v6(PacketBuilder::ipv6(kClient, kServer6).tcp(4000, 80, tcp_flag::kSyn).bytes()).packet;
  const auto p = parse_ipv4(sent4).value();
  const auto back = nat.from_v4(
      PacketBuilder::ipv4(kServer4, p.source.to_string()).icmp(3, 1, 0, first(sent4, 28)).bytes());
  ASSERT_EQ(back.verdict.action, Action::kForward) << kDropReasonNames[back.verdict.reason];
  EXPECT_EQ(load_be16(&back.packet[48 + 40]), 4000);
  EXPECT_EQ(load_be16(&back.packet[48 + 4]), 20);  // the payload length the whole packet had
}

TEST(IcmpErrors, AboutAnEchoCarryTheClientsIdentifier) {
  Nat64Harness nat;
  const Bytes ping6 = PacketBuilder::ipv6(kClient, kServer6).echo(128, 77, 3).payload("ping").bytes();
  const Bytes ping4 = nat.from_v6(ping6).packet;
  const auto p = parse_ipv4(ping4).value();
  const auto back =
      nat.from_v4(PacketBuilder::ipv4("198.41.9.9", p.source.to_string()).icmp(11, 0, 0, ping4).bytes());
  Bytes want = ping6;
  want[7] = 63;
  EXPECT_EQ(inside(back.packet), want);
}

// A large ping to a host that is not there. The quoted checksum covers what nobody here can see.
TEST(IcmpErrors, AboutAFragmentedEchoCarryTheClientsIdentifier) {
  Nat64Harness nat;
  const auto echo =
      PacketBuilder::ipv6(kClient, kServer6).echo(icmp6::kEchoRequest, 777).payload(2000).bytes();
  std::vector<Bytes> sent;
  for (const auto& piece : test::cut_into_fragments(echo, 800, 9)) {
    const auto out = nat.from_v6(piece);
    if (out.verdict.sends()) sent.push_back(out.packet);
    sent.insert(sent.end(), out.extra.begin(), out.extra.end());
  }
  const auto head = std::ranges::find_if(sent, [](const Bytes& p) { return parse_ipv4(p)->has_l4_header(); });
  ASSERT_NE(head, sent.end());
  const auto back = nat.from_v4(PacketBuilder::ipv4("198.41.9.9", parse_ipv4(*head)->source.to_string())
                                    .icmp(3, 1, 0, first(*head, 500))
                                    .bytes());
  ASSERT_EQ(back.verdict.action, Action::kForward) << kDropReasonNames[back.verdict.reason];
  EXPECT_EQ(test::checksum_fault(back.packet), "");
  const auto quoted = inside(back.packet);
  EXPECT_EQ(quoted[6], 44);
  EXPECT_EQ(quoted[48], icmp6::kEchoRequest);
  EXPECT_EQ(load_be16(&quoted[52]), 777);
}

TEST(IcmpErrors, FragmentationNeededBecomesPacketTooBigWithTwentyMore) {
  Nat64Harness nat;
  const Bytes sent4 =
      nat.from_v6(PacketBuilder::ipv6(kClient, kServer6).udp(4000, 53).payload(1400).bytes()).packet;
  const auto p = parse_ipv4(sent4).value();
  const auto back = nat.from_v4(
      PacketBuilder::ipv4("198.41.9.9", p.source.to_string()).icmp(3, 4, 1400, first(sent4, 576)).bytes());
  ASSERT_EQ(back.verdict.action, Action::kForward);
  EXPECT_EQ(back.packet[40], icmp6::kPacketTooBig);
  EXPECT_EQ(load_be32(&back.packet[44]), 1420U);
  EXPECT_EQ(test::checksum_fault(back.packet), "");
}

TEST(IcmpErrors, ThatAreNotOursAreDroppedByName) {
  Nat64Harness nat;
  const Bytes sent4 = nat.from_v6(PacketBuilder::ipv6(kClient, kServer6).udp(4000, 53).bytes()).packet;
  const auto p = parse_ipv4(sent4).value();
  const auto error = [&](const Bytes& quoted) {
    return PacketBuilder::ipv4(kServer4, p.source.to_string()).icmp(3, 3, 0, quoted);
  };
  const auto reason = [&](const Bytes& bytes) { return nat.from_v4(bytes).verdict.reason; };
  const Bytes stranger =
      PacketBuilder::ipv4(p.source.to_string(), "198.41.0.99").udp(p.source_port, 53).bytes();
  EXPECT_EQ(reason(error(stranger).bytes()), DropReason::kIcmpErrorNoSession);
  EXPECT_EQ(reason(error(first(sent4, 27)).bytes()), DropReason::kIcmpErrorBadInner);
  EXPECT_EQ(reason(error(error(sent4).bytes()).bytes()), DropReason::kIcmpErrorBadInner);
  Bytes broken = error(sent4).bytes();
  broken.back() ^= 1;
  EXPECT_EQ(reason(broken), DropReason::kBadChecksum);  // RFC 5508 REQ-3
  EXPECT_EQ(reason(PacketBuilder::ipv4(kServer4, p.source.to_string()).icmp(3, 14, 0, sent4).bytes()),
            DropReason::kUnsupportedIcmp);
}

}  // namespace
}  // namespace isthmus::nat64
