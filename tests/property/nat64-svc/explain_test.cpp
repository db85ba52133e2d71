// SPDX-License-Identifier: Apache-2.0
// What explain() says of a packet is what the translator then does with it, whatever the tables hold; and
// explaining leaves no trace.
#include "nat64-svc/core/explain.hpp"

#include <gtest/gtest.h>

#include <random>

#include "tests/support/nat64_harness.hpp"

namespace isthmus::nat64 {
namespace {

using test::Bytes;
using test::PacketBuilder;

class Script {
 public:
  explicit Script(unsigned seed) : random_{seed} {}

  std::uint16_t any(unsigned low, unsigned high) {
    return static_cast<std::uint16_t>(std::uniform_int_distribution<unsigned>{low, high}(random_));
  }
  std::uint8_t flags() {
    constexpr std::uint8_t kSome[] = {tcp_flag::kSyn, tcp_flag::kSyn,
                                      tcp_flag::kAck, tcp_flag::kFin | tcp_flag::kAck,
                                      tcp_flag::kRst, tcp_flag::kSyn | tcp_flag::kAck};
    return kSome[any(0, 5)];
  }
  PacketBuilder& dress(PacketBuilder& p) {
    if (any(0, 19) == 0) p.ttl(1);
    if (any(0, 9) == 0) p.df();
    if (any(0, 19) == 0) p.fragment(any(0, 1) == 0 ? 0 : 1200, any(0, 1) == 0, any(1, 3));
    return p.payload(any(0, 4) == 0 ? std::size_t{1450} : std::size_t{64});
  }
  Bytes from_client() {
    const std::string clients[] = {"2001:db8:1::1", "2001:db8:1:1::2", "2001:db8:1:2::3", "2001:db8:9::1",
                                   "64:ff9b::1"};
    const std::string servers[] = {"64:ff9b::198.41.0.4", "64:ff9b::198.41.0.5", "64:ff9b::203.0.113.1",
                                   "64:ff9b::10.0.0.1", "2001:db8:99::1"};
    auto p =
        PacketBuilder::ipv6(clients[any(0, any(0, 2) == 0 ? 4 : 2)], servers[any(0, any(0, 2) == 0 ? 4 : 1)]);
    const auto port = any(1000, 1009);
    switch (any(0, 3)) {
      case 0:
        return dress(p.tcp(port, 80, flags())).bytes();
      case 1:
        return dress(p.udp(port, 53)).bytes();
      case 2:
        return dress(p.echo(128, port)).bytes();
      default: {
        const auto inside = last_to_client_.empty() ? Bytes(48) : last_to_client_;
        return p.icmp(1, 4, 0, inside).bytes();
      }
    }
  }
  Bytes from_server(std::uint16_t known_port) {
    auto p =
        PacketBuilder::ipv4(any(0, 3) == 0 ? "198.41.0.5" : "198.41.0.4", any(0, 9) == 0   ? "203.0.113.9"
                                                                          : any(0, 1) == 0 ? "203.0.113.1"
                                                                                           : "203.0.113.2");
    const auto port = any(0, 2) == 0 ? any(1024, 65535) : known_port;
    switch (any(0, 3)) {
      case 3:
        return p.icmp(3, any(0, 1) == 0 ? 1 : 4, 0, last_to_server_.empty() ? Bytes(28) : last_to_server_)
            .bytes();
      case 0:
        return dress(p.tcp(80, port, flags())).bytes();
      case 1:
        if (any(0, 5) == 0) p.udp_without_checksum();
        return dress(p.udp(53, port)).bytes();
      default:
        return dress(p.echo(0, port)).bytes();
    }
  }
  Bytes last_to_client_;
  Bytes last_to_server_;

 private:
  std::mt19937 random_;
};

std::string story(const Explanation& e) {
  std::string out;
  for (const auto& s : e.steps)
    out += std::string(s.section) + " " + std::string(s.name) + ": " + (s.passed ? "" : "NO, ") + s.outcome +
           "\n";
  return out;
}

Policy tight_policy() {
  auto policy = test::nat64_policy();
  policy.nat64.icmp_errors_per_second = 1'000'000;
  policy.nat64.udp_zero_checksum = UdpZeroChecksum::kDrop;
  policy.pools[0].subscribers.ports_per_block = 16;
  policy.pools[0].subscribers.max_blocks = 1;
  policy.pools[0].subscribers.max_sessions = 24;
  return policy;
}

bool is_icmp_error(const Bytes& bytes) {
  return bytes[0] >> 4 == 6 ? bytes[6] == 58 && bytes[40] == 1 : bytes[9] == 1 && bytes[20] == 3;
}

// Identification and header checksum of IPv4 are left to chance.
Bytes without_chance(Bytes packet) {
  if (packet[0] >> 4 != 4) return packet;
  for (const auto i : {4U, 5U, 10U, 11U}) packet[i] = 0;
  return packet;
}

// A later fragment of an ICMP message, and its last one.
bool ends_an_echo(const Bytes& bytes) {
  const bool v6 = bytes[0] >> 4 == 6;
  if (v6 ? bytes[6] != 44 || bytes[40] != 58 : bytes[9] != 1) return false;
  const unsigned place = v6 ? load_be16(&bytes[42]) : load_be16(&bytes[6]);
  return v6 ? place >> 3 != 0 && (place & 1) == 0 : (place & 0x1fff) != 0 && (place & 0x2000) == 0;
}

TEST(Explain, SaysWhatTheTranslatorThenDoes) {
  Script script{6146};
  auto policy = tight_policy();
  test::Nat64Harness nat{policy, test::nat64_allocation(), {.max_sessions = 48, .max_subscribers = 3}};
  std::uint16_t known_port = 1024;
  int passed = 0;
  int errors = 0;
  for (int i = 0; i < 20000; ++i) {
    if (script.any(0, 99) == 0) nat.advance(std::chrono::seconds{script.any(1, 200)});
    if (script.any(0, 299) == 0) {
      policy.exclusions.ipv4_destinations.assign(script.any(0, 1),
                                                 Ipv4Prefix{Ipv4Address{198, 41, 0, 5}, 32});
      policy.nat64.filtering =
          script.any(0, 1) == 0 ? Filtering::kAddressDependent : Filtering::kEndpointIndependent;
      policy.nat64.hairpinning = script.any(0, 1) == 0;
      policy.nat64.udp_zero_checksum =
          script.any(0, 1) == 0 ? UdpZeroChecksum::kDrop : UdpZeroChecksum::kCalculate;
      policy.pools[0].subscribers.new_sessions_per_second = script.any(0, 1) == 0 ? 0 : 3;
      auto allocation = test::nat64_allocation();
      allocation.addresses[0].withdrawn = script.any(0, 3) == 0;
      nat.apply(policy, allocation);
    }
    const Side side = script.any(0, 1) == 0 ? Side::kV6 : Side::kV4;
    const auto bytes = side == Side::kV6 ? script.from_client() : script.from_server(known_port);
    const auto told = nat.translator.explain(side, bytes, nat.now);
    const auto done = side == Side::kV6 ? nat.from_v6(bytes) : nat.from_v4(bytes);
    // Not foretold: the last fragment of an echo frees the first one, held for the length, and follows it.
    if (told.verdict.action == Verdict::Action::kHeld && done.verdict.action == Verdict::Action::kForward &&
        ends_an_echo(bytes))
      continue;
    ASSERT_EQ(told.verdict.action, done.verdict.action)
        << i << " " << test::describe(bytes) << " " << kDropReasonNames[done.verdict.reason] << "\n"
        << story(told);
    ASSERT_EQ(told.verdict.reason, done.verdict.reason)
        << i << " " << kDropReasonNames[done.verdict.reason] << "\n"
        << story(told);
    if (done.verdict.action != Verdict::Action::kForward) continue;
    ++passed;
    ASSERT_EQ(told.verdict.out, done.verdict.out) << i;
    if (side == Side::kV6 && done.verdict.out == Side::kV4 && done.packet.size() >= 28)
      known_port = done.packet[9] == 1 ? load_be16(&done.packet[24]) : load_be16(&done.packet[20]);
    (done.verdict.out == Side::kV6 ? script.last_to_client_ : script.last_to_server_) = done.packet;
    if (is_icmp_error(bytes)) {
      ++errors;
      ASSERT_EQ(without_chance(told.packet), without_chance(done.packet)) << i;
      continue;
    }
    // What is told is whole; beyond this size it leaves in fragments.
    if (!told.packet.empty() && told.packet.size() <= 1280 && side == Side::kV4) {
      ASSERT_EQ(told.packet, done.packet) << i;
    }
  }
  EXPECT_GT(passed, 2000);
  EXPECT_GT(errors, 100);
}

TEST(Explain, LeavesNoTrace) {
  test::Nat64Harness nat;
  const auto syn =
      PacketBuilder::ipv6("2001:db8:1::5", "64:ff9b::198.41.0.4").tcp(1000, 80, tcp_flag::kSyn).bytes();
  for (int i = 0; i < 3; ++i) {
    const auto told = nat.translator.explain(Side::kV6, syn, nat.now);
    EXPECT_EQ(told.verdict.action, Verdict::Action::kForward);
    EXPECT_FALSE(told.packet.empty());
  }
  EXPECT_EQ(nat.sessions(), 0U);
  EXPECT_EQ(nat.bib_entries(), 0U);
  EXPECT_EQ(nat.translator.counters().of(Side::kV6).received_packets.get(), 0U);
  EXPECT_EQ(nat.translator.counters().blocks_used.get(), 0U);
}

TEST(Explain, NamesTheStepThatRefuses) {
  test::Nat64Harness nat;
  const auto told = nat.translator.explain(
      Side::kV6, PacketBuilder::ipv6("2001:db8:1::5", "64:ff9b::10.0.0.1").udp(1000, 53).bytes(), nat.now);
  EXPECT_EQ(told.verdict.reason, DropReason::kNonGlobal);
  ASSERT_TRUE(told.answer.has_value());
  EXPECT_EQ(told.answer->code, icmp6::kProhibited);
  const auto refusing = std::ranges::find(told.steps, false, &ExplainStep::passed);
  ASSERT_NE(refusing, told.steps.end());
  EXPECT_EQ(refusing->outcome, "non_global");
}

TEST(Explain, NobodyInsideAPrefixIsAnswered) {
  test::Nat64Harness nat;
  const auto packet = PacketBuilder::ipv6("64:ff9b::1", "64:ff9b::198.41.0.4").ttl(1).udp(1000, 53).bytes();
  EXPECT_EQ(nat.translator.explain(Side::kV6, packet, nat.now).verdict.action, Verdict::Action::kDrop);
  EXPECT_EQ(nat.from_v6(packet).verdict.action, Verdict::Action::kDrop);
}

}  // namespace
}  // namespace isthmus::nat64
