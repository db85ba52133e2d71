// SPDX-License-Identifier: Apache-2.0
// RFC 6146 §3.5.2.2 around the state machine: unsolicited SYNs, simultaneous open, the probe; and filtering.
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

std::vector<Bytes> after(Nat64Harness& nat, Duration time) {
  nat.advance(time);
  std::vector<Bytes> extra;
  nat.translator.drain_extra(
      [&](Side, std::span<const std::uint8_t> p) { extra.emplace_back(p.begin(), p.end()); });
  return extra;
}

TEST(UnsolicitedSyn, IsHeldSixSecondsAndThenAnsweredWithPortUnreachable) {
  Nat64Harness nat;
  const Bytes syn = PacketBuilder::ipv4(kServer4, "203.0.113.1").tcp(5555, 4000, tcp_flag::kSyn).bytes();
  EXPECT_EQ(nat.from_v4(syn).verdict.action, Action::kHeld);
  EXPECT_EQ(nat.from_v4(syn).verdict.action, Action::kHeld);  // sent again: the clock runs on
  EXPECT_TRUE(after(nat, 5999ms).empty());
  const auto extra = after(nat, 2ms);
  ASSERT_EQ(extra.size(), 1U);
  EXPECT_EQ(extra[0], PacketBuilder::ipv4("203.0.113.1", kServer4)
                          .id(load_be16(&extra[0][4]))
                          .traffic_class(0xc0)
                          .icmp(3, 3, 0, syn)
                          .bytes());
  EXPECT_EQ(nat.translator.counters().held_syns.get(), 0U);
}

TEST(UnsolicitedSyn, IsForgottenWhenTheClientOpensTheSameConnection) {
  auto policy = test::nat64_policy();
  policy.nat64.filtering = Filtering::kAddressDependent;
  Nat64Harness nat{policy};
  // The client has a binding, but never spoke to this server.
  const auto p =
      parse_ipv4(
          nat.from_v6(
                 PacketBuilder::ipv6(kClient, "64:ff9b::198.41.0.99").tcp(4000, 80, tcp_flag::kSyn).bytes())
              .packet)
          .value();
  const Bytes syn =
      PacketBuilder::ipv4(kServer4, p.source.to_string()).tcp(5555, p.source_port, tcp_flag::kSyn).bytes();
  EXPECT_EQ(nat.from_v4(syn).verdict.action, Action::kHeld);
  EXPECT_EQ(nat.from_v6(PacketBuilder::ipv6(kClient, kServer6).tcp(4000, 5555, tcp_flag::kSyn).bytes())
                .verdict.action,
            Action::kForward);
  EXPECT_TRUE(after(nat, 10s).empty());
  EXPECT_EQ(nat.translator.counters().of(Event::kSynReleased).get(), 1U);
  // Both SYNs were seen: established, so it outlives the transitory time.
  nat.advance(300s);
  EXPECT_EQ(nat.sessions(), 1U);
}

// The peer hears of it at the end of its six seconds.
TEST(UnsolicitedSyn, IsNotForgottenWhenTheClientsSessionIsRefused) {
  auto policy = test::nat64_policy();
  policy.nat64.filtering = Filtering::kAddressDependent;
  policy.pools[0].subscribers.max_sessions = 1;
  Nat64Harness nat{policy};
  const auto p =
      parse_ipv4(
          nat.from_v6(
                 PacketBuilder::ipv6(kClient, "64:ff9b::198.41.0.99").tcp(4000, 80, tcp_flag::kSyn).bytes())
              .packet)
          .value();
  EXPECT_EQ(nat.from_v4(PacketBuilder::ipv4(kServer4, p.source.to_string())
                            .tcp(5555, p.source_port, tcp_flag::kSyn)
                            .bytes())
                .verdict.action,
            Action::kHeld);
  EXPECT_EQ(nat.from_v6(PacketBuilder::ipv6(kClient, kServer6).tcp(4000, 5555, tcp_flag::kSyn).bytes())
                .verdict.reason,
            DropReason::kSubscriberSessions);
  const auto extra = after(nat, 7s);
  ASSERT_EQ(extra.size(), 1U);
  EXPECT_EQ(extra[0][20], icmp4::kUnreachable);
  EXPECT_EQ(nat.translator.counters().of(Event::kSynReleased).get(), 0U);
}

TEST(UnsolicitedSyn, ThatIsNotAnsweredForItsRateCountsAsLimited) {
  auto policy = test::nat64_policy();
  policy.nat64.icmp_errors_per_second = 1;
  Nat64Harness nat{policy};
  for (std::uint16_t port = 1; port <= 20; ++port)
    (void)nat.from_v4(PacketBuilder::ipv4(kServer4, "203.0.113.1").tcp(port, 4000, tcp_flag::kSyn).bytes());
  EXPECT_EQ(after(nat, 7s).size(), 10U);
  EXPECT_EQ(nat.translator.counters().of(Event::kIcmpErrorLimited).get(), 10U);
}

TEST(UnsolicitedSyn, AreHeldInBounds) {
  Nat64Harness nat{test::nat64_policy(), test::nat64_allocation(), {.max_sessions = 64, .max_held_syns = 3}};
  for (std::uint16_t port = 1; port <= 4; ++port) {
    const auto verdict =
        nat.from_v4(PacketBuilder::ipv4(kServer4, "203.0.113.1").tcp(port, 4000, tcp_flag::kSyn).bytes())
            .verdict;
    EXPECT_EQ(verdict.action, port <= 3 ? Action::kHeld : Action::kDrop);
  }
}

TEST(Probe, AsksTheClientOnceBeforeAnEstablishedConnectionGoes) {
  Nat64Harness nat;
  const auto p =
      parse_ipv4(
          nat.from_v6(PacketBuilder::ipv6(kClient, kServer6).tcp(4000, 80, tcp_flag::kSyn).bytes()).packet)
          .value();
  (void)nat.from_v4(PacketBuilder::ipv4(kServer4, p.source.to_string())
                        .tcp(80, p.source_port, tcp_flag::kSyn | tcp_flag::kAck)
                        .bytes());
  const auto extra = after(nat, 7441s);
  ASSERT_EQ(extra.size(), 1U);
  EXPECT_EQ(test::checksum_fault(extra[0]), "");
  const auto probe = parse_ipv6(extra[0]).value();
  EXPECT_EQ(probe.source.to_string(), "64:ff9b::c629:4");
  EXPECT_EQ(probe.destination.to_string(), kClient);
  EXPECT_EQ(probe.destination_port, 4000);
  EXPECT_EQ(probe.tcp_flags, tcp_flag::kAck);
  EXPECT_EQ(nat.sessions(), 1U);
  nat.advance(241s);
  EXPECT_EQ(nat.sessions(), 0U);
}

TEST(Probe, AnAnswerKeepsTheConnection) {
  Nat64Harness nat;
  const auto p =
      parse_ipv4(
          nat.from_v6(PacketBuilder::ipv6(kClient, kServer6).tcp(4000, 80, tcp_flag::kSyn).bytes()).packet)
          .value();
  (void)nat.from_v4(PacketBuilder::ipv4(kServer4, p.source.to_string())
                        .tcp(80, p.source_port, tcp_flag::kSyn | tcp_flag::kAck)
                        .bytes());
  (void)after(nat, 7441s);
  (void)nat.from_v6(PacketBuilder::ipv6(kClient, kServer6).tcp(4000, 80, tcp_flag::kAck).bytes());
  nat.advance(7000s);
  EXPECT_EQ(nat.sessions(), 1U);
}

TEST(AddressDependentFiltering, LetsInOnlyPeersThatTheClientSpokeTo) {
  auto policy = test::nat64_policy();
  policy.nat64.filtering = Filtering::kAddressDependent;
  Nat64Harness nat{policy};
  const auto p =
      parse_ipv4(nat.from_v6(PacketBuilder::ipv6(kClient, kServer6).udp(4000, 53).bytes()).packet).value();
  const auto from = [&](const char* peer) {
    return nat.from_v4(PacketBuilder::ipv4(peer, p.source.to_string()).udp(9999, p.source_port).bytes())
        .verdict;
  };
  EXPECT_EQ(from(kServer4).action, Action::kForward);  // another port of the same address
  EXPECT_EQ(from("198.41.0.5").reason, DropReason::kFiltered);
  EXPECT_EQ(from("198.41.0.5").action, Action::kReply);
  nat.advance(302s);
  EXPECT_EQ(from(kServer4).reason, DropReason::kNoMapping);
}

TEST(AddressDependentFiltering, KnowsSessionsThatWereMadeBeforeItWasTurnedOn) {
  auto policy = test::nat64_policy();
  Nat64Harness nat{policy};
  const auto p =
      parse_ipv4(nat.from_v6(PacketBuilder::ipv6(kClient, kServer6).udp(4000, 53).bytes()).packet).value();
  policy.nat64.filtering = Filtering::kAddressDependent;
  nat.apply(policy, test::nat64_allocation());
  const auto sent =
      nat.from_v4(PacketBuilder::ipv4(kServer4, p.source.to_string()).udp(9999, p.source_port).bytes());
  EXPECT_EQ(sent.verdict.action, Action::kForward);
}

TEST(MssClamp, LowersTheOfferInBothDirectionsAndKeepsTheChecksum) {
  auto policy = test::nat64_policy();
  policy.nat64.mss_clamp = true;
  Nat64Harness nat{policy};
  nat.apply(policy, test::nat64_allocation(), {.mtu6 = 1500, .mtu4 = 1400});
  const Bytes mss{2, 4, 1460 >> 8, 1460 & 0xff};
  const auto syn = nat.from_v6(
      PacketBuilder::ipv6(kClient, kServer6).tcp(4000, 80, tcp_flag::kSyn).tcp_options(mss).bytes());
  EXPECT_EQ(test::checksum_fault(syn.packet), "");
  EXPECT_EQ(load_be16(&syn.packet[20 + 22]), 1360);
  const auto p = parse_ipv4(syn.packet).value();
  // The option at an odd offset, behind a no-operation.
  const Bytes odd{1, 2, 4, 1460 >> 8, 1460 & 0xff, 0, 0, 0};
  const auto reply = nat.from_v4(PacketBuilder::ipv4(kServer4, p.source.to_string())
                                     .tcp(80, p.source_port, tcp_flag::kSyn | tcp_flag::kAck)
                                     .tcp_options(odd)
                                     .bytes());
  EXPECT_EQ(test::checksum_fault(reply.packet), "");
  EXPECT_EQ(load_be16(&reply.packet[40 + 23]), 1360);
  EXPECT_EQ(nat.translator.counters().of(Event::kMssClamped).get(), 2U);
}

TEST(MssClamp, LeavesSmallOffersBrokenOptionsAndUnswitchedPoliciesAlone) {
  auto policy = test::nat64_policy();
  const auto through = [&](const Bytes& options) {
    Nat64Harness nat{policy};
    const auto sent = nat.from_v6(
        PacketBuilder::ipv6(kClient, kServer6).tcp(4000, 80, tcp_flag::kSyn).tcp_options(options).bytes());
    return Bytes(sent.packet.begin() + 40, sent.packet.end());
  };
  const Bytes large{2, 4, 0xff, 0xff};
  EXPECT_EQ(through(large), large);
  policy.nat64.mss_clamp = true;
  const Bytes rows[] = {
      {2, 4, 2, 0}, {2, 0, 0xff, 0xff}, {2, 60, 0xff, 0xff}, {8, 3, 0xff, 2}, {0, 2, 4, 0xff}};
  for (const auto& options : rows) EXPECT_EQ(through(options), options);
}

}  // namespace
}  // namespace isthmus::nat64
