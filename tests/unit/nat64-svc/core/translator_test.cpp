// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/core/translator.hpp"

#include <gtest/gtest.h>

#include "common/net/checksum.hpp"
#include "common/rfc6052/embed.hpp"
#include "nat64-svc/core/packet/parse.hpp"
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

PacketBuilder out6() {
  return PacketBuilder::ipv6(kClient, kServer6);
}

// What the server sees of a packet that must go through.
Parsed4 forwarded4(const test::Sent& sent) {
  EXPECT_EQ(sent.verdict.action, Action::kForward) << kDropReasonNames[sent.verdict.reason];
  EXPECT_EQ(sent.verdict.out, Side::kV4);
  EXPECT_EQ(test::checksum_fault(sent.packet), "");
  const auto p = parse_ipv4(sent.packet);
  EXPECT_TRUE(p) << test::describe(sent.packet);
  return p.value_or(Parsed4{});
}

Parsed6 forwarded6(const test::Sent& sent) {
  EXPECT_EQ(sent.verdict.action, Action::kForward) << kDropReasonNames[sent.verdict.reason];
  EXPECT_EQ(sent.verdict.out, Side::kV6);
  EXPECT_EQ(test::checksum_fault(sent.packet), "");
  const auto p = parse_ipv6(sent.packet);
  EXPECT_TRUE(p) << test::describe(sent.packet);
  return p.value_or(Parsed6{});
}

PacketBuilder answer_to(const Parsed4& request) {
  return PacketBuilder::ipv4(request.destination.to_string(), request.source.to_string());
}

TEST(Translator, UdpThereAndBackIsExact) {
  Nat64Harness nat;
  const auto p =
      forwarded4(nat.from_v6(out6().traffic_class(0x28).ttl(40).udp(4000, 53).payload("question").bytes()));
  EXPECT_EQ(p.destination.to_string(), kServer4);
  EXPECT_EQ(p.destination_port, 53);
  EXPECT_EQ(p.hop_limit, 39);
  EXPECT_EQ(p.traffic_class, 0x28);
  EXPECT_FALSE(p.dont_fragment);
  EXPECT_GE(p.source_port, 1024);
  EXPECT_EQ(p.source_port % 2, 0);

  const auto back = nat.from_v4(answer_to(p).ttl(50).udp(53, p.source_port).payload("answer").bytes());
  EXPECT_EQ(back.packet,
            PacketBuilder::ipv6(kServer6, kClient).ttl(49).udp(53, 4000).payload("answer").bytes());
  EXPECT_EQ(nat.sessions(), 1U);
}

TEST(Translator, TcpHandshakeThereAndBack) {
  Nat64Harness nat;
  const auto syn = forwarded4(nat.from_v6(out6().tcp(4001, 80, tcp_flag::kSyn).bytes()));
  const auto reply = answer_to(syn).tcp(80, syn.source_port, tcp_flag::kSyn | tcp_flag::kAck).bytes();
  EXPECT_EQ(forwarded6(nat.from_v4(reply)).destination_port, 4001);
  EXPECT_EQ(forwarded4(nat.from_v6(out6().tcp(4001, 80, tcp_flag::kAck).payload("GET").bytes())).source_port,
            syn.source_port);
}

TEST(Translator, EchoThereAndBackKeepsSequenceAndPayload) {
  Nat64Harness nat;
  const auto sent = nat.from_v6(out6().echo(128, 77, 9).payload("ping").bytes());
  const auto p = forwarded4(sent);
  EXPECT_EQ(p.icmp_type, 8);
  const auto back = nat.from_v4(answer_to(p).echo(0, p.source_port, 9).payload("ping").bytes());
  EXPECT_EQ(back.packet,
            PacketBuilder::ipv6(kServer6, kClient).ttl(63).echo(129, 77, 9).payload("ping").bytes());
}

TEST(Translator, MappingIsEndpointIndependent) {
  Nat64Harness nat;
  const auto a = forwarded4(nat.from_v6(out6().udp(4000, 53).bytes()));
  const auto b =
      forwarded4(nat.from_v6(PacketBuilder::ipv6(kClient, "64:ff9b::198.41.0.99").udp(4000, 123).bytes()));
  EXPECT_EQ(a.source, b.source);
  EXPECT_EQ(a.source_port, b.source_port);
  EXPECT_EQ(nat.bib_entries(), 1U);
  EXPECT_EQ(nat.sessions(), 2U);
}

TEST(Translator, FilteringIsEndpointIndependentByDefault) {
  Nat64Harness nat;
  const auto p = forwarded4(nat.from_v6(out6().udp(4000, 53).bytes()));
  const auto other = PacketBuilder::ipv4("198.41.0.77", p.source.to_string()).udp(9, p.source_port).bytes();
  EXPECT_EQ(forwarded6(nat.from_v4(other)).source.to_string(), "64:ff9b::c629:4d");
}

TEST(Translator, ExtensionHeadersAreDropped) {
  Nat64Harness nat;
  const auto p = forwarded4(nat.from_v6(out6().extension(0, Bytes(8, 0)).udp(4000, 53).payload("x").bytes()));
  EXPECT_EQ(p.total_length(), 29);
}

TEST(Translator, Ipv4OptionsAreDropped) {
  Nat64Harness nat;
  const auto p = forwarded4(nat.from_v6(out6().udp(4000, 53).bytes()));
  const auto back =
      nat.from_v4(answer_to(p).options(Bytes(40, 1)).udp(53, p.source_port).payload("x").bytes());
  EXPECT_EQ(back.packet, PacketBuilder::ipv6(kServer6, kClient).ttl(63).udp(53, 4000).payload("x").bytes());
}

TEST(Translator, LargePacketsGetDfAndSmallOnesDoNot) {
  // RFC 7915 §5.1: the limit is 1260 bytes of IPv4.
  Nat64Harness nat;
  EXPECT_FALSE(forwarded4(nat.from_v6(out6().udp(4000, 53).payload(1260 - 28).bytes())).dont_fragment);
  EXPECT_TRUE(forwarded4(nat.from_v6(out6().udp(4000, 53).payload(1260 - 27).bytes())).dont_fragment);
}

TEST(Translator, UdpWithoutChecksumGetsOne) {
  Nat64Harness nat;
  const auto p = forwarded4(nat.from_v6(out6().udp(4000, 53).bytes()));
  const auto back =
      nat.from_v4(answer_to(p).udp(53, p.source_port).udp_without_checksum().payload("odd").bytes());
  EXPECT_EQ(back.packet, PacketBuilder::ipv6(kServer6, kClient).ttl(63).udp(53, 4000).payload("odd").bytes());
}

TEST(Translator, UdpWithoutChecksumIsDroppedWhenThePolicySaysSo) {
  auto policy = test::nat64_policy();
  policy.nat64.udp_zero_checksum = UdpZeroChecksum::kDrop;
  Nat64Harness nat{policy};
  const auto p = forwarded4(nat.from_v6(out6().udp(4000, 53).bytes()));
  EXPECT_EQ(nat.from_v4(answer_to(p).udp(53, p.source_port).udp_without_checksum().bytes()).verdict.reason,
            DropReason::kUdpZeroChecksum);
}

// RFC 7915 §5.1: what is too long for a small IPv4 MTU and what no IPv6 host can be asked to shorten.
TEST(Translator, PacketsWithoutDfAreCutForASmallIpv4Mtu) {
  Nat64Harness nat;
  nat.apply(test::nat64_policy(), test::nat64_allocation(), {.mtu4 = 1000});
  const auto sent = nat.from_v6(out6().udp(4000, 53).payload(1232).bytes());
  ASSERT_EQ(sent.verdict.action, Action::kForward) << kDropReasonNames[sent.verdict.reason];
  ASSERT_EQ(sent.extra.size(), 1U);
  EXPECT_LE(sent.packet.size(), 1000U);
  const auto whole = test::put_together({sent.packet, sent.extra[0]});
  ASSERT_EQ(whole.size(), 1260U);
  EXPECT_EQ(test::checksum_fault(whole), "");
  const auto refused = nat.from_v6(out6().udp(4000, 53).payload(1233).bytes());
  ASSERT_EQ(refused.verdict.action, Action::kReply);
  EXPECT_EQ(load_be32(&refused.packet[44]), 1280U);
}

TEST(Translator, TrafficClassCanBeZeroed) {
  auto policy = test::nat64_policy();
  policy.nat64.traffic_class = TrafficClass::kZero;
  Nat64Harness nat{policy};
  EXPECT_EQ(forwarded4(nat.from_v6(out6().traffic_class(0xff).udp(4000, 53).bytes())).traffic_class, 0);
}

TEST(Translator, PacketsWithoutDfThatDoNotFitAreCutForTheIpv6Minimum) {
  Nat64Harness nat;
  const auto p = forwarded4(nat.from_v6(out6().udp(4000, 53).bytes()));
  const auto sent = nat.from_v4(answer_to(p).id(0x1234).udp(53, p.source_port).payload(1400).bytes());
  ASSERT_EQ(sent.verdict.action, Action::kForward);
  ASSERT_EQ(sent.extra.size(), 1U);
  const auto first = parse_ipv6(sent.packet);
  const auto second = parse_ipv6(sent.extra[0]);
  ASSERT_TRUE(first);
  ASSERT_TRUE(second);
  EXPECT_EQ(sent.packet.size(), 1280U);
  EXPECT_TRUE(first->more_fragments);
  EXPECT_FALSE(second->more_fragments);
  EXPECT_EQ(first->fragment_id, 0x1234U);
  EXPECT_EQ(second->fragment_offset, first->l4_length);
  // Put together, the datagram is whole and its checksum right.
  Bytes joined(sent.packet.begin() + first->l4_offset, sent.packet.end());
  joined.insert(joined.end(), sent.extra[0].begin() + second->l4_offset, sent.extra[0].end());
  EXPECT_EQ(joined.size(), 1408U);
  EXPECT_EQ(fold(sum_bytes(joined) + pseudo_header(first->source, first->destination, kProtoUdp, 1408)),
            0xffff);
}

// RFC 768: zero would say that there is none, which IPv6 forbids (RFC 8200 §8.1).
TEST(Translator, AUdpChecksumThatComputesToZeroIsSentAsAllOnes) {
  Nat64Harness nat;
  const auto p = forwarded4(nat.from_v6(out6().udp(4000, 53).payload("ab").bytes()));
  const auto text = [](std::uint16_t word) {
    return std::string{static_cast<char>(word >> 8), static_cast<char>(word & 0xff)};
  };
  const auto to_server = [&](std::uint16_t word) {
    return nat.from_v6(out6().udp(4000, 53).payload(text(word)).bytes()).packet;
  };
  const auto to_client = [&](std::uint16_t word) {
    return nat.from_v4(answer_to(p).udp(53, p.source_port).payload(text(word)).bytes()).packet;
  };
  // A word that is the checksum without it makes the sum all ones.
  const auto four = to_server(load_be16(&to_server(0)[26]));
  EXPECT_EQ(load_be16(&four[26]), 0xffff);
  EXPECT_EQ(test::checksum_fault(four), "");
  const auto six = to_client(load_be16(&to_client(0)[46]));
  EXPECT_EQ(load_be16(&six[46]), 0xffff);
  EXPECT_EQ(test::checksum_fault(six), "");
}

TEST(Translator, SessionsEndAfterTheirTimeAndTablesAreEmpty) {
  Nat64Harness nat;
  (void)nat.from_v6(out6().udp(4000, 53).bytes());
  (void)nat.from_v6(out6().echo(128, 77).bytes());
  (void)nat.from_v6(out6().tcp(4000, 80, tcp_flag::kSyn).bytes());
  EXPECT_EQ(nat.sessions(), 3U);
  nat.advance(59s);
  EXPECT_EQ(nat.sessions(), 3U);
  nat.advance(2s);
  EXPECT_EQ(nat.sessions(), 2U);  // ICMP: 60 s
  nat.advance(180s);
  EXPECT_EQ(nat.sessions(), 1U);  // TCP before ESTABLISHED: 240 s
  nat.advance(60s);
  EXPECT_EQ(nat.sessions(), 0U);  // UDP: 300 s
  EXPECT_EQ(nat.bib_entries(), 0U);
  EXPECT_EQ(nat.translator.counters().blocks_used.get(), 0U);
  EXPECT_EQ(nat.translator.counters().subscribers.get(), 0U);
}

// A worker calls expire() between two bursts: packets wait for it.
TEST(Translator, ManySessionsThatEndAtOnceAreSpreadOverManyCalls) {
  auto policy = test::nat64_policy();
  policy.pools[0].subscribers.max_sessions = 4096;
  policy.pools[0].subscribers.max_blocks = 64;
  Nat64Harness nat{policy};
  for (std::uint16_t port = 1; port <= 2000; ++port) (void)nat.from_v6(out6().udp(port, 53).bytes());
  ASSERT_EQ(nat.sessions(), 2000U);
  nat.now += 302s;
  std::uint64_t most = 0;
  int calls = 0;
  for (bool more = true; more; ++calls) {
    const auto before = nat.sessions();
    more = nat.translator.expire(nat.now);
    most = std::max(most, before - nat.sessions());
  }
  EXPECT_LE(most, 256U);
  EXPECT_GE(calls, 2000 / 256);
  EXPECT_EQ(nat.sessions(), 0U);
  EXPECT_EQ(nat.bib_entries(), 0U);
}

TEST(Translator, TrafficKeepsASessionAlive) {
  Nat64Harness nat;
  const auto p = forwarded4(nat.from_v6(out6().udp(4000, 53).bytes()));
  for (int i = 0; i < 5; ++i) {
    nat.advance(250s);
    EXPECT_EQ(nat.from_v4(answer_to(p).udp(53, p.source_port).bytes()).verdict.action, Action::kForward);
  }
  for (int i = 0; i < 5; ++i) {
    nat.advance(250s);
    EXPECT_EQ(forwarded4(nat.from_v6(out6().udp(4000, 53).bytes())).source_port, p.source_port);
  }
  EXPECT_EQ(nat.sessions(), 1U);
  nat.advance(299s);
  EXPECT_EQ(nat.sessions(), 1U);
  nat.advance(2s);
  EXPECT_EQ(nat.sessions(), 0U);
}

TEST(Translator, AnEstablishedConnectionLivesTwoHoursAndAResetShortensThat) {
  Nat64Harness nat;
  const auto syn = forwarded4(nat.from_v6(out6().tcp(4001, 80, tcp_flag::kSyn).bytes()));
  (void)nat.from_v4(answer_to(syn).tcp(80, syn.source_port, tcp_flag::kSyn | tcp_flag::kAck).bytes());
  nat.advance(7000s);
  EXPECT_EQ(nat.sessions(), 1U);
  (void)nat.from_v4(answer_to(syn).tcp(80, syn.source_port, tcp_flag::kRst).bytes());
  nat.advance(239s);
  EXPECT_EQ(nat.sessions(), 1U);
  nat.advance(2s);
  EXPECT_EQ(nat.sessions(), 0U);
}

TEST(Translator, ATcpSegmentThatOpensNothingIsDropped) {
  Nat64Harness nat;
  EXPECT_EQ(nat.from_v6(out6().tcp(4001, 80, tcp_flag::kAck).bytes()).verdict.reason, DropReason::kTcpNotSyn);
  EXPECT_EQ(nat.from_v4(PacketBuilder::ipv4(kServer4, "203.0.113.1").tcp(80, 4001, tcp_flag::kAck).bytes())
                .verdict.reason,
            DropReason::kTcpNotSyn);
  EXPECT_EQ(nat.sessions(), 0U);
}

// RFC 6146 §3.5.2.2, CLOSED: with a BIB entry they pass, in both directions, and no session is made.
TEST(Translator, ATcpSegmentThatOpensNothingPassesWithABinding) {
  Nat64Harness nat;
  const auto p = parse_ipv4(nat.from_v6(out6().tcp(4001, 80, tcp_flag::kSyn).bytes()).packet).value();
  ASSERT_EQ(nat.sessions(), 1U);
  const std::string pool = p.source.to_string();
  const auto in =
      nat.from_v4(PacketBuilder::ipv4("198.41.0.77", pool).tcp(443, p.source_port, tcp_flag::kAck).bytes());
  ASSERT_EQ(in.verdict.action, Action::kForward) << kDropReasonNames[in.verdict.reason];
  EXPECT_EQ(
      in.packet,
      PacketBuilder::ipv6("64:ff9b::198.41.0.77", kClient).ttl(63).tcp(443, 4001, tcp_flag::kAck).bytes());
  const auto out = nat.from_v6(
      PacketBuilder::ipv6(kClient, "64:ff9b::198.41.0.77").tcp(4001, 443, tcp_flag::kRst).bytes());
  ASSERT_EQ(out.verdict.action, Action::kForward) << kDropReasonNames[out.verdict.reason];
  const auto sent = parse_ipv4(out.packet).value();
  EXPECT_EQ(sent.destination.to_string(), "198.41.0.77");
  EXPECT_EQ(sent.source.to_string(), pool);
  EXPECT_EQ(sent.source_port, p.source_port);
  EXPECT_EQ(nat.sessions(), 1U);
  EXPECT_EQ(nat.bib_entries(), 1U);
}

TEST(Translator, PrefixesOfAllSixLengthsWorkAtOnce) {
  const std::pair<const char*, const char*> rows[] = {
      // RFC 6052 §2.4 with 192.0.2.33.
      {"2001:db8::/32", "2001:db8:c000:221::"},
      {"2001:db9:100::/40", "2001:db9:1c0:2:21::"},
      {"2001:dba:122::/48", "2001:dba:122:c000:2:2100::"},
      {"2001:dbb:122:300::/56", "2001:dbb:122:3c0:0:221::"},
      {"2001:dbc:122:344::/64", "2001:dbc:122:344:c0:2:2100:0"},
      {"2001:dbd:122:344::/96", "2001:dbd:122:344::c000:221"},
  };
  auto policy = test::nat64_policy();
  policy.translation_prefixes.clear();
  for (const auto& [prefix, server6] : rows) {
    policy.translation_prefixes.push_back({.name = prefix,
                                           .prefix = Ipv6Prefix::parse(prefix).value(),
                                           .clients = {Ipv6Prefix::parse("fd00::/8").value()},
                                           .ipv4_ranges = {Ipv4Prefix{}},
                                           .allow_non_global = true});
  }
  Nat64Harness nat{policy};
  std::uint16_t port = 5000;
  for (const auto& [prefix, server6] : rows) {
    ++port;
    const auto p = forwarded4(nat.from_v6(PacketBuilder::ipv6("fd00::1", server6).udp(port, 53).bytes()));
    EXPECT_EQ(p.destination.to_string(), "192.0.2.33") << prefix;
    const auto back = nat.from_v4(answer_to(p).udp(53, p.source_port).bytes());
    EXPECT_EQ(back.packet, PacketBuilder::ipv6(server6, "fd00::1").ttl(63).udp(53, port).bytes()) << prefix;
  }
}

TEST(Translator, UnderAParentPrefixTheAnswerComesFromTheVeryAddressThatWasAsked) {
  auto policy = test::nat64_policy();
  policy.translation_prefixes[1].assignment = Assignment::kPerNode;
  Nat64Harness nat{policy};
  const char* server6 = "2001:db8:64:77::192.0.2.33";
  const auto p = forwarded4(nat.from_v6(PacketBuilder::ipv6(kClient, server6).udp(4000, 53).bytes()));
  EXPECT_EQ(p.destination.to_string(), "192.0.2.33");
  EXPECT_EQ(forwarded6(nat.from_v4(answer_to(p).udp(53, p.source_port).bytes())).source,
            Ipv6Address::parse(server6).value());
}

TEST(Translator, TheSamePeerThroughAnotherPrefixAnswersFromThere) {
  Nat64Harness nat;
  const auto p = forwarded4(nat.from_v6(out6().udp(4000, 53).bytes()));
  (void)nat.from_v6(PacketBuilder::ipv6(kClient, "2001:db8:64:c629:0:400::").udp(4000, 53).bytes());
  EXPECT_EQ(nat.sessions(), 1U);
  EXPECT_EQ(forwarded6(nat.from_v4(answer_to(p).udp(53, p.source_port).bytes())).source.to_string(),
            "2001:db8:64:c629:0:400::");
}

TEST(Translator, HairpinnedPacketsReachTheOtherClient) {
  Nat64Harness nat;
  const char* other = "2001:db8:1:2::9";
  const auto a = forwarded4(nat.from_v6(PacketBuilder::ipv6(other, kServer6).udp(7000, 53).bytes()));
  const std::string to =
      embed(*Pref64::parse("2001:db8:64::/48"), a.source).to_string();  // its public address, as IPv6 sees it
  const auto sent =
      nat.from_v6(PacketBuilder::ipv6(kClient, to).udp(4000, a.source_port).payload("hi").bytes());
  const auto p = forwarded6(sent);
  EXPECT_EQ(p.destination.to_string(), other);
  EXPECT_EQ(p.destination_port, 7000);
  EXPECT_TRUE(Ipv6Prefix::parse("2001:db8:64::/48")->contains(p.source));
  // And back again.
  const auto back = forwarded6(nat.from_v6(
      PacketBuilder::ipv6(other, p.source.to_string()).udp(7000, p.source_port).payload("ho").bytes()));
  EXPECT_EQ(back.destination.to_string(), kClient);
  EXPECT_EQ(back.destination_port, 4000);
  EXPECT_EQ(back.source.to_string(), to);
}

}  // namespace
}  // namespace isthmus::nat64
