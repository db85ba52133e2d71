// SPDX-License-Identifier: Apache-2.0
// ICMP errors of our own that depend on the way beyond, or are about packets that were translated already:
// their senders hear of them in the words of their side.
#include <gtest/gtest.h>

#include "common/rfc6052/embed.hpp"
#include "nat64-svc/core/packet/parse.hpp"
#include "nat64-svc/core/packet/write.hpp"
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

std::vector<std::pair<Side, Bytes>> extras(Nat64Harness& nat) {
  nat.translator.expire(nat.now);
  std::vector<std::pair<Side, Bytes>> all;
  nat.translator.drain_extra([&](Side out, std::span<const std::uint8_t> packet) {
    all.emplace_back(out, Bytes(packet.begin(), packet.end()));
  });
  return all;
}

// One ICMPv6 error to kClient and nothing else; the packet that it quotes.
Bytes told_to_client(Nat64Harness& nat, std::uint8_t code) {
  const auto told = extras(nat);
  if (told.size() != 1U) {
    ADD_FAILURE() << told.size() << " packets";
    return Bytes(kIpv6Header);
  }
  const auto& [out, error] = told.front();
  EXPECT_EQ(out, Side::kV6);
  EXPECT_EQ(test::checksum_fault(error), "");
  EXPECT_EQ(Ipv6Address::load(&error[24]).to_string(), kClient);
  EXPECT_EQ(error[kIpv6Header], icmp6::kUnreachable);
  EXPECT_EQ(error[kIpv6Header + 1], code);
  return {error.begin() + kIpv6Header + kIcmpHeader, error.end()};
}

TEST(Unreachable, AClientHearsThatThereIsNoWayForItsPacket) {
  // All codes of IPv4 but one are "no route", RFC 7915 §4.2.
  for (const auto& [why, code] :
       {std::pair{Unreachable::kNoRoute, icmp6::kNoRoute}, std::pair{Unreachable::kRoute, icmp6::kNoRoute},
        std::pair{Unreachable::kProhibited, icmp6::kProhibited},
        std::pair{Unreachable::kNeighbour, icmp6::kNoRoute}}) {
    Nat64Harness nat;
    const auto sent = PacketBuilder::ipv6(kClient, kServer6).udp(4000, 53).payload("question").bytes();
    const auto translated = nat.from_v6(sent);
    ASSERT_EQ(translated.verdict.action, Action::kForward);
    nat.translator.unreachable(Side::kV4, translated.packet, why, nat.now);
    const auto quoted = told_to_client(nat, code);
    EXPECT_EQ(Ipv6Address::load(&quoted[8]).to_string(), kClient);
    EXPECT_EQ(Ipv6Address::load(&quoted[24]), Ipv6Address::parse(kServer6));
    EXPECT_EQ(Bytes(quoted.begin() + 40, quoted.end()), Bytes(sent.begin() + 40, sent.end()));
  }
}

TEST(Unreachable, AServerHearsThatTheClientIsGone) {
  constexpr std::uint8_t kHostProhibited = 10;  // RFC 7915 §5.2
  for (const auto& [why, code] : {std::pair{Unreachable::kNoRoute, icmp4::kHostUnreachable},
                                  std::pair{Unreachable::kRoute, icmp4::kHostUnreachable},
                                  std::pair{Unreachable::kProhibited, kHostProhibited},
                                  std::pair{Unreachable::kNeighbour, icmp4::kHostUnreachable}}) {
    Nat64Harness nat;
    const auto p =
        parse_ipv4(nat.from_v6(PacketBuilder::ipv6(kClient, kServer6).udp(4000, 53).bytes()).packet).value();
    const auto answer = nat.from_v4(
        PacketBuilder::ipv4(kServer4, p.source.to_string()).udp(53, p.source_port).payload(2000).bytes());
    nat.translator.unreachable(Side::kV6, answer.packet, why, nat.now);
    const auto told = extras(nat);
    ASSERT_EQ(told.size(), 1U);
    const auto& [out, error] = told.front();
    EXPECT_EQ(out, Side::kV4);
    EXPECT_EQ(test::checksum_fault(error), "");
    EXPECT_EQ(Ipv4Address::load(&error[16]).to_string(), kServer4);
    EXPECT_EQ(error[20], icmp4::kUnreachable);
    EXPECT_EQ(error[21], code);
  }
}

TEST(Unreachable, ErrorsAreNotAnswered) {
  Nat64Harness nat;
  const auto p =
      parse_ipv4(nat.from_v6(PacketBuilder::ipv6(kClient, kServer6).udp(4000, 53).bytes()).packet).value();
  const auto answer =
      nat.from_v4(PacketBuilder::ipv4(kServer4, p.source.to_string()).udp(53, p.source_port).bytes()).packet;
  const auto error = nat.from_v6(PacketBuilder::ipv6(kClient, kServer6).icmp(1, 4, 0, answer).bytes());
  ASSERT_EQ(error.verdict.action, Action::kForward);
  nat.translator.unreachable(Side::kV4, error.packet, Unreachable::kNoRoute, nat.now);
  EXPECT_TRUE(extras(nat).empty());
}

TEST(Unreachable, KeepsTheLimitOfErrors) {
  auto policy = test::nat64_policy();
  policy.nat64.icmp_errors_per_second = 20;
  Nat64Harness nat{policy};
  const auto packet = nat.from_v6(PacketBuilder::ipv6(kClient, kServer6).udp(4000, 53).bytes()).packet;
  for (int i = 0; i < 100; ++i) nat.translator.unreachable(Side::kV4, packet, Unreachable::kNoRoute, nat.now);
  const auto told = extras(nat).size();
  EXPECT_GT(told, 0U);
  EXPECT_LE(told, 20U);
  EXPECT_EQ(nat.translator.counters().of(Event::kIcmpErrorLimited).get(), 100 - told);
}

TEST(Unreachable, WhatIsNoPacketOfOursIsLeftAlone) {
  Nat64Harness nat;
  for (const auto& bytes :
       {Bytes{}, Bytes(20), Bytes(40, 0x60), PacketBuilder::ipv4("203.0.113.1", kServer4).udp(1, 2).bytes()})
    nat.translator.unreachable(Side::kV4, bytes, Unreachable::kNoRoute, nat.now);
  EXPECT_TRUE(extras(nat).empty());
}

TEST(OurErrors, TooBigIsToldWithTheMtuOfTheWayToThatDestination) {
  Nat64Harness nat;
  nat.translator.set_route_mtu(
      [](void*, Side side, std::span<const std::uint8_t> to) -> std::uint32_t {
        if (side == Side::kV6) return 1400;
        return Ipv4Address::load(to.data()).to_string() == kServer4 ? 1300 : 0;  // 0: the interface's
      },
      nullptr);
  const auto sent = [&](const char* to, std::size_t length) {
    return nat.from_v6(PacketBuilder::ipv6(kClient, to).udp(4000, 53).payload(length).bytes());
  };
  const auto big6 = sent(kServer6, 1300);
  ASSERT_EQ(big6.verdict.action, Action::kReply);
  EXPECT_EQ(big6.packet[40], icmp6::kPacketTooBig);
  EXPECT_EQ(load_be32(&big6.packet[44]), 1320U);
  EXPECT_EQ(sent("64:ff9b::198.41.0.5", 1300).verdict.action, Action::kForward);
  const auto p = parse_ipv4(sent(kServer6, 9).packet).value();
  const auto big4 = nat.from_v4(
      PacketBuilder::ipv4(kServer4, p.source.to_string()).df().udp(53, p.source_port).payload(1400).bytes());
  ASSERT_EQ(big4.verdict.action, Action::kReply);
  EXPECT_EQ(load_be32(&big4.packet[24]), 1380U);
}

// RFC 6146 §3.8 and §3.5.2.2: the SYN of one client to a port of another that nobody opened is answered after
// its six seconds, and the answer goes to the client, not to the wire.
TEST(HairpinErrors, ASynThatNobodyWantedIsAnsweredToTheClientThatSentIt) {
  Nat64Harness nat;
  const auto other =
      parse_ipv4(nat.from_v6(PacketBuilder::ipv6("2001:db8:1:2::9", kServer6).udp(7000, 53).bytes()).packet);
  const auto to = embed(*Pref64::parse("2001:db8:64::/48"), other->source).to_string();
  const auto syn = PacketBuilder::ipv6(kClient, to).tcp(4000, 80, tcp_flag::kSyn).bytes();
  EXPECT_EQ(nat.from_v6(syn).verdict.action, Action::kHeld);
  nat.advance(5999ms);
  EXPECT_TRUE(extras(nat).empty());
  nat.advance(2ms);
  const auto quoted = told_to_client(nat, icmp6::kPortUnreachable);
  EXPECT_EQ(Ipv6Address::load(&quoted[24]).to_string(), to);
}

TEST(HairpinErrors, ARefusalByTheOtherClientsWorkerComesBackToTheOneThatSent) {
  std::vector<std::unique_ptr<Nat64Harness>> workers;
  const auto blocks = std::make_shared<BlockShare>();
  for (std::uint16_t w = 0; w < 2; ++w) {
    workers.push_back(std::make_unique<Nat64Harness>());
    workers.back()->apply(test::nat64_policy(), test::nat64_allocation(),
                          {.worker = w, .workers = 2, .blocks = blocks});
  }
  // One client of each worker.
  std::array<std::string, 2> client;
  std::array<Parsed4, 2> mapped;
  for (int host = 1; client[0].empty() || client[1].empty(); ++host) {
    const std::string address = "2001:db8:1::" + std::to_string(host);
    const auto question = PacketBuilder::ipv6(address, kServer6).udp(4000, 53).bytes();
    const auto first = workers[0]->from_v6(question);
    const std::size_t owner = first.verdict.action == Action::kHandOver ? 1 : 0;
    const auto sent = owner == 0 ? first : workers[1]->from_v6(question);
    client[owner] = address;
    mapped[owner] = parse_ipv4(sent.packet).value();
  }
  // The port beside that of the second client is in its block, but nobody's.
  const auto to = embed(*Pref64::parse("2001:db8:64::/48"), mapped[1].source).to_string();
  const auto port = static_cast<std::uint16_t>(mapped[1].source_port ^ 1);
  const auto half =
      workers[0]->from_v6(PacketBuilder::ipv6(client[0], to).udp(4001, port).payload(9).bytes());
  ASSERT_EQ(half.verdict.action, Action::kHandOver);
  const auto refused = workers[1]->from_worker(Side::kV4, half.packet, half.verdict.note);
  EXPECT_EQ(refused.verdict.action, Action::kHeld);
  EXPECT_TRUE(extras(*workers[1]).empty());
  std::vector<Bytes> back;
  workers[1]->translator.drain_hand_overs(
      [&](std::uint16_t owner, Side from, const FragmentNote&, std::span<const std::uint8_t> packet) {
        EXPECT_EQ(owner, 0);
        EXPECT_EQ(from, Side::kV4);
        back.emplace_back(packet.begin(), packet.end());
      });
  ASSERT_EQ(back.size(), 1U);
  const auto told = workers[0]->from_v4(back.front());
  ASSERT_EQ(told.verdict.action, Action::kForward) << kDropReasonNames[told.verdict.reason];
  EXPECT_EQ(told.verdict.out, Side::kV6);
  EXPECT_EQ(Ipv6Address::load(&told.packet[24]).to_string(), client[0]);
  EXPECT_EQ(told.packet[kIpv6Header], icmp6::kUnreachable);
}

}  // namespace
}  // namespace isthmus::nat64
