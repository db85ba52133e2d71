// SPDX-License-Identifier: Apache-2.0
// Long lives in short time: a day of mappings under a clock that jumps, and a soak of churn after which
// nothing is left.
#include <gtest/gtest.h>

#include <random>

#include "nat64-svc/core/packet/parse.hpp"
#include "tests/support/nat64_harness.hpp"

namespace isthmus::nat64 {
namespace {

using namespace std::chrono_literals;
using test::Bytes;
using test::PacketBuilder;
using Action = Verdict::Action;

constexpr const char* kServer6 = "64:ff9b::198.41.0.4";
constexpr const char* kServer4 = "198.41.0.4";

// A conversation of one client, as far as this test needs it.
struct Conversation {
  std::string client;
  Protocol protocol;
  std::uint16_t port;
  Ipv4Address public4;
  std::uint16_t port4 = 0;

  [[nodiscard]] Bytes out(std::uint8_t flags = tcp_flag::kAck) const {
    const auto p = PacketBuilder::ipv6(client, kServer6);
    return dress(p, port, 80, flags, 128);
  }
  [[nodiscard]] Bytes in(std::uint8_t flags = tcp_flag::kAck) const {
    const auto p = PacketBuilder::ipv4(kServer4, public4.to_string());
    return dress(p, 80, port4, flags, 0);
  }
  void open(test::Nat64Harness& nat) {
    const auto sent = nat.from_v6(out(tcp_flag::kSyn));
    ASSERT_EQ(sent.verdict.action, Action::kForward) << kDropReasonNames[sent.verdict.reason];
    const auto seen = parse_ipv4(sent.packet).value();
    public4 = seen.source;
    port4 = seen.source_port;
    if (protocol == Protocol::kTcp) {
      ASSERT_EQ(nat.from_v4(in(tcp_flag::kSyn | tcp_flag::kAck)).verdict.action, Action::kForward);
    }
  }

 private:
  [[nodiscard]] Bytes dress(PacketBuilder p, std::uint16_t from, std::uint16_t to, std::uint8_t flags,
                            std::uint8_t echo) const {
    if (protocol == Protocol::kTcp) return p.tcp(from, to, flags).bytes();
    if (protocol == Protocol::kUdp) return p.udp(from, to).bytes();
    return p.echo(echo, echo == 0 ? port4 : port).bytes();
  }
};

TEST(ADay, MappingsThatAreUsedStayTheSameAndTheOthersEnd) {
  test::Nat64Harness nat;
  // Used a little more often than the timeout allows; and once only.
  Conversation udp{"2001:db8:1::1", Protocol::kUdp, 4001, {}};
  Conversation icmp{"2001:db8:1::2", Protocol::kIcmp, 4002, {}};
  Conversation tcp{"2001:db8:1::3", Protocol::kTcp, 4003, {}};
  Conversation once{"2001:db8:1::4", Protocol::kUdp, 4004, {}};
  for (auto* c : {&udp, &icmp, &tcp, &once}) c->open(nat);
  std::size_t probes = 0;
  const auto start = nat.now;
  for (Duration at = 10s; at <= 24h; at += 10s) {
    nat.now = start + at;
    for (int i = 0; i < 8; ++i) nat.translator.expire(nat.now);
    nat.translator.drain_extra([&](Side, std::span<const std::uint8_t>) { ++probes; });
    // By turns from inside and outside: both refresh (RFC 6146 §3.5).
    const bool from_inside = at / 10s % 2 == 0;
    const auto use = [&](const Conversation& c) {
      const auto sent = from_inside ? nat.from_v6(c.out()) : nat.from_v4(c.in());
      ASSERT_EQ(sent.verdict.action, Action::kForward)
          << at / 1s << " s: " << kDropReasonNames[sent.verdict.reason];
      if (from_inside) {
        const auto seen = parse_ipv4(sent.packet).value();
        ASSERT_EQ(seen.source, c.public4);
        ASSERT_EQ(seen.source_port, c.port4);
      }
    };
    if (at % 290s == 0s) use(udp);
    if (at % 50s == 0s) use(icmp);
    if (at % 7430s == 0s) use(tcp);
    if (at == 310s) {
      EXPECT_EQ(nat.sessions(), 3U);
    }
  }
  EXPECT_EQ(probes, 0U);
  EXPECT_EQ(nat.sessions(), 3U);
  EXPECT_EQ(nat.translator.counters().of(Event::kSessionExpired).get(), 1U);
  nat.advance(3h);
  nat.advance(5min);
  EXPECT_EQ(nat.sessions(), 0U);
  EXPECT_EQ(nat.bib_entries(), 0U);
  EXPECT_EQ(nat.translator.counters().of(Event::kProbeSent).get(), 1U);
}

TEST(ASoak, EndsWithAllTablesEmptyAndAllBooksBalanced) {
  auto policy = test::nat64_policy();
  policy.pools[0].subscribers.prefix_length = 128;
  policy.pools[0].subscribers.ports_per_block = 64;
  policy.pools[0].subscribers.max_blocks = 2;
  policy.pools[0].subscribers.max_sessions = 60;
  test::Nat64Harness nat{policy, test::nat64_allocation(), {.max_sessions = 2000, .max_subscribers = 100}};
  std::mt19937 random{5};
  const auto any = [&](unsigned low, unsigned high) {
    return std::uniform_int_distribution<unsigned>{low, high}(random);
  };
  constexpr std::array<std::uint8_t, 4> kFlags{tcp_flag::kSyn, tcp_flag::kAck, tcp_flag::kFin,
                                               tcp_flag::kRst};
  std::vector<Bytes> seen;
  std::uint64_t most = 0;
  for (int i = 0; i < 60000; ++i) {
    const std::string client = "2001:db8:1::" + std::to_string(any(1, 120));
    auto p = PacketBuilder::ipv6(client, "64:ff9b::198.41.0." + std::to_string(any(1, 200)));
    const auto port = static_cast<std::uint16_t>(any(1000, 1100));
    switch (any(0, 2)) {
      case 0:
        p.udp(port, 53);
        break;
      case 1:
        p.tcp(port, 80, kFlags[any(0, 3)]);
        break;
      default:
        p.echo(128, port);
    }
    const auto sent = nat.from_v6(p.bytes());
    if (sent.verdict.action == Action::kForward && seen.size() < 512) seen.push_back(sent.packet);
    if (sent.verdict.action == Action::kForward)
      seen[any(0, static_cast<unsigned>(seen.size() - 1))] = sent.packet;
    if (any(0, 2) == 0 && !seen.empty()) {  // an answer, or what looks like one
      const auto to = parse_ipv4(seen[any(0, static_cast<unsigned>(seen.size() - 1))]).value();
      auto answer = PacketBuilder::ipv4(to.destination.to_string(), to.source.to_string());
      if (to.protocol == Protocol::kTcp)
        answer.tcp(80, to.source_port, kFlags[any(0, 3)]);
      else if (to.protocol == Protocol::kUdp)
        answer.udp(53, to.source_port);
      else
        answer.echo(0, to.source_port);
      (void)nat.from_v4(answer.bytes());
    }
    most = std::max(most, nat.sessions());
    if (i % 50 == 0) {
      nat.now += std::chrono::milliseconds{any(0, 4000)};
      nat.translator.expire(nat.now);
      nat.translator.drain_events([](const EventRecord&) {});
    }
  }
  EXPECT_GT(most, 1000U);
  EXPECT_LE(most, 2000U);
  for (int i = 0; i < 40; ++i) nat.advance(10min);
  const auto& c = nat.translator.counters();
  const auto count = [&](Event e) { return c.of(e).get(); };
  EXPECT_EQ(nat.sessions(), 0U);
  EXPECT_EQ(nat.bib_entries(), 0U);
  EXPECT_EQ(c.blocks_used.get(), 0U);
  EXPECT_EQ(c.subscribers.get(), 0U);
  EXPECT_EQ(c.held_syns.get(), 0U);
  EXPECT_EQ(c.held_fragments.get(), 0U);
  EXPECT_EQ(count(Event::kSessionCreated), count(Event::kSessionExpired) + count(Event::kSessionEnded));
  EXPECT_EQ(count(Event::kBibCreated), count(Event::kBibRemoved));
  EXPECT_EQ(count(Event::kBlockTaken), count(Event::kBlockFreed));
  for (const auto side : {Side::kV6, Side::kV4}) EXPECT_EQ(c.of(side).drops(DropReason::kUnclassified), 0U);
}

}  // namespace
}  // namespace isthmus::nat64
