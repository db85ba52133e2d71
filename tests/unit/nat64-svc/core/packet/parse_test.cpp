// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/core/packet/parse.hpp"

#include <gtest/gtest.h>

#include "tests/support/packet_builder.hpp"

namespace isthmus::nat64 {
namespace {

using test::Bytes;
using test::PacketBuilder;

PacketBuilder v6() {
  return PacketBuilder::ipv6("2001:db8:1::5", "64:ff9b::198.41.0.4");
}
PacketBuilder v4() {
  return PacketBuilder::ipv4("198.41.0.4", "203.0.113.1");
}

TEST(ParseIpv6, ReadsAUdpPacket) {
  const auto p = parse_ipv6(v6().traffic_class(0xb8).ttl(9).udp(4000, 53).payload("hello").bytes());
  ASSERT_TRUE(p);
  EXPECT_EQ(p->kind, Kind::kTransport);
  EXPECT_EQ(p->protocol, Protocol::kUdp);
  EXPECT_EQ(p->traffic_class, 0xb8);
  EXPECT_EQ(p->hop_limit, 9);
  EXPECT_EQ(p->source_port, 4000);
  EXPECT_EQ(p->destination_port, 53);
  EXPECT_EQ(p->l4_offset, 40);
  EXPECT_EQ(p->l4_length, 13);
  EXPECT_EQ(p->source.to_string(), "2001:db8:1::5");
}

TEST(ParseIpv6, WalksExtensionHeaders) {
  const auto p = parse_ipv6(v6().extension(0, Bytes(8, 0))
                                .extension(60, {0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
                                .extension(43, Bytes(8, 0))
                                .tcp(4000, 80, tcp_flag::kSyn)
                                .bytes());
  ASSERT_TRUE(p);
  EXPECT_EQ(p->l4_offset, 40 + 8 + 16 + 8);
  EXPECT_EQ(p->tcp_flags, tcp_flag::kSyn);
}

TEST(ParseIpv6, SegmentsLeftIsAParameterProblemThatPointsAtTheField) {
  // RFC 7915 §5.1.
  const auto p =
      parse_ipv6(v6().extension(0, Bytes(8, 0)).extension(43, {0, 0, 0, 2, 0, 0, 0, 0}).udp(1, 2).bytes());
  ASSERT_FALSE(p);
  EXPECT_EQ(p.error().reason, DropReason::kRoutingHeader);
  EXPECT_EQ(p.error().icmp, (IcmpError{icmp6::kParameterProblem, 0, 40 + 8 + 3}));
}

TEST(ParseIpv6, FragmentsAreToldApart) {
  const auto first = parse_ipv6(v6().fragment(0, true, 0xdeadbeef).udp(4000, 53).payload(24).bytes());
  ASSERT_TRUE(first);
  EXPECT_EQ(first->kind, Kind::kTransport);
  EXPECT_TRUE(first->more_fragments);
  EXPECT_EQ(first->fragment_id, 0xdeadbeef);
  const auto later = parse_ipv6(v6().fragment(32, false, 0xdeadbeef).protocol(17).payload(24).bytes());
  ASSERT_TRUE(later);
  EXPECT_EQ(later->kind, Kind::kLaterFragment);
  EXPECT_EQ(later->fragment_offset, 32);
}

struct Reject {
  const char* why;
  Bytes bytes;
  DropReason reason;
};

Bytes cut(Bytes bytes, std::size_t length) {
  bytes.resize(length);
  return bytes;
}
Bytes patch(Bytes bytes, std::size_t at, std::uint8_t value) {
  bytes[at] = value;
  return bytes;
}

TEST(ParseIpv6, Rejects) {
  const Bytes udp = v6().udp(1, 2).payload(8).bytes();
  auto many = v6();
  for (int i = 0; i < 9; ++i) many.extension(60, Bytes(8, 0));
  const Reject rows[] = {
      {"empty", {}, DropReason::kTruncated},
      {"a cut header", cut(udp, 39), DropReason::kTruncated},
      {"a cut payload", cut(udp, udp.size() - 1), DropReason::kTruncated},
      {"IPv4", v4().udp(1, 2).payload(20).bytes(), DropReason::kBadVersion},
      {"nine extension headers", many.udp(1, 2).bytes(), DropReason::kTooManyExtensions},
      {"an extension longer than the packet", v6().extension(60, {0, 9, 0, 0, 0, 0, 0, 0}).bytes(),
       DropReason::kTruncated},
      {"an extension behind the fragment header",
       v6().extension(44, {0, 0, 0, 1, 0, 0, 0, 1}).extension(60, Bytes(8, 0)).udp(1, 2).bytes(),
       DropReason::kBadHeader},
      {"two fragment headers", v6().extension(44, Bytes(8, 0)).extension(44, Bytes(8, 0)).udp(1, 2).bytes(),
       DropReason::kBadHeader},
      {"ESP", v6().protocol(50).payload(20).bytes(), DropReason::kUnsupportedProtocol},
      {"no next header", v6().bytes(), DropReason::kUnsupportedProtocol},
      {"a TCP header of four words", patch(v6().tcp(1, 2, 2).bytes(), 40 + 12, 0x40), DropReason::kBadHeader},
      {"TCP options past the end", patch(v6().tcp(1, 2, 2).bytes(), 40 + 12, 0xf0), DropReason::kTruncated},
      {"UDP length below eight", patch(udp, 45, 7), DropReason::kBadHeader},
      {"UDP length past the end", patch(udp, 45, 200), DropReason::kBadHeader},
      {"a first fragment without ports", v6().fragment(0, true, 1).protocol(6).payload(8).bytes(),
       DropReason::kTinyFragment},
      {"a fragment that is no multiple of eight", v6().fragment(0, true, 1).udp(1, 2).payload(9).bytes(),
       DropReason::kBadHeader},
      {"a fragmented ICMP error", v6().fragment(0, true, 1).icmp(1, 0, 0).payload(8).bytes(),
       DropReason::kFragmentedIcmp},
      {"a router solicitation", v6().icmp(133, 0, 0).bytes(), DropReason::kUnsupportedIcmp},
  };
  for (const auto& row : rows) {
    const auto p = parse_ipv6(row.bytes);
    ASSERT_FALSE(p) << row.why;
    EXPECT_EQ(kDropReasonNames[p.error().reason], kDropReasonNames[row.reason]) << row.why;
  }
}

TEST(ParseIpv4, ReadsATcpPacketBehindOptions) {
  const auto p = parse_ipv4(v4().options({1, 1, 1, 1}).df().tcp(80, 4000, tcp_flag::kAck).bytes());
  ASSERT_TRUE(p);
  EXPECT_EQ(p->l4_offset, 24);
  EXPECT_TRUE(p->dont_fragment);
  EXPECT_EQ(p->destination_port, 4000);
}

TEST(ParseIpv4, LinkPaddingIsNoPartOfThePacket) {
  Bytes padded = v4().udp(1, 2).payload("x").bytes();
  padded.resize(46);
  const auto p = parse_ipv4(padded);
  ASSERT_TRUE(p);
  EXPECT_EQ(p->total_length(), 29);
}

TEST(ParseIpv4, AnExpiredSourceRouteIsSkipped) {
  EXPECT_TRUE(parse_ipv4(v4().options({131, 7, 8, 10, 0, 0, 1, 0}).udp(1, 2).bytes()));
}

TEST(ParseIpv4, Rejects) {
  const Bytes udp = v4().udp(1, 2).payload(8).bytes();
  const Reject rows[] = {
      {"a cut header", cut(udp, 19), DropReason::kTruncated},
      {"a cut payload", cut(udp, udp.size() - 1), DropReason::kTruncated},
      {"IPv6", v6().udp(1, 2).bytes(), DropReason::kBadVersion},
      {"a header of four words", patch(udp, 0, 0x44), DropReason::kBadHeader},
      {"a total length inside the header", patch(udp, 3, 19), DropReason::kBadHeader},
      {"a wrong header checksum", patch(udp, 8, 1), DropReason::kBadIpChecksum},
      {"a loose source route", v4().options({131, 7, 4, 10, 0, 0, 1, 0}).udp(1, 2).bytes(),
       DropReason::kSourceRoute},
      {"a strict source route", v4().options({137, 7, 4, 10, 0, 0, 1, 0}).udp(1, 2).bytes(),
       DropReason::kSourceRoute},
      {"SCTP", v4().protocol(132).payload(20).bytes(), DropReason::kUnsupportedProtocol},
      {"a redirect", v4().icmp(5, 0, 0).bytes(), DropReason::kUnsupportedIcmp},
      {"a timestamp request", v4().icmp(13, 0, 0).bytes(), DropReason::kUnsupportedIcmp},
      {"a fragmented ICMP error", v4().fragment(0, true, 1).icmp(3, 1, 0).payload(8).bytes(),
       DropReason::kFragmentedIcmp},
  };
  for (const auto& row : rows) {
    const auto p = parse_ipv4(row.bytes);
    ASSERT_FALSE(p) << row.why;
    EXPECT_EQ(kDropReasonNames[p.error().reason], kDropReasonNames[row.reason]) << row.why;
  }
}

}  // namespace
}  // namespace isthmus::nat64
