// SPDX-License-Identifier: Apache-2.0
// The whole translator with its state: a script of packets from both sides, time steps and policy changes.
// What comes out parses, has right checksums when what went in had, and nothing grows without bound.
#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "common/net/checksum.hpp"
#include "nat64-svc/core/packet/parse.hpp"
#include "tests/support/nat64_harness.hpp"

namespace {

using namespace isthmus;
using namespace isthmus::nat64;

constexpr std::uint32_t kMaxSessions = 64;

void require(bool ok, const char* what) {
  if (ok) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

// Makes the addresses likely to be ours, and the IPv4 checksum right: the fuzzer finds ports and flags by
// itself.
void make_plausible(test::Bytes& packet, Side side, std::uint8_t choice) {
  if (side == Side::kV6 && packet.size() >= 40) {
    static const auto kClient = Ipv6Address::parse("2001:db8:1::5").value();
    static const auto kServer = Ipv6Address::parse("64:ff9b::198.41.0.4").value();
    static const auto kHairpin = Ipv6Address::parse("2001:db8:64:cb00:71:100::").value();  // 203.0.113.1
    packet[0] = static_cast<std::uint8_t>(0x60 | (packet[0] & 0x0f));
    kClient.store(&packet[8]);
    packet[23] = choice & 3;
    ((choice & 4) != 0 ? kHairpin : kServer).store(&packet[24]);
    store_be16(&packet[4], static_cast<std::uint16_t>(packet.size() - 40));
  } else if (side == Side::kV4 && packet.size() >= 20) {
    packet[0] = static_cast<std::uint8_t>(0x40 | std::max(5, packet[0] & 0x0f));
    Ipv4Address{198, 41, 0, 4}.store(&packet[12]);
    Ipv4Address{203, 0, 113, static_cast<std::uint8_t>(1 + (choice & 1))}.store(&packet[16]);
    store_be16(&packet[2], static_cast<std::uint16_t>(packet.size()));
    const std::size_t header = std::size_t{packet[0]} % 16 * 4;
    if (header > packet.size()) return;
    store_be16(&packet[10], 0);
    store_be16(&packet[10], finish(sum_bytes(std::span{packet}.first(header))));
  }
}

// The mapping that was used last: a packet to it gets deep into the translator, and its port is not guessed.
struct LastMapping {
  Ipv4Address public4{203, 0, 113, 1};
  std::uint16_t port = 0;

  void learn(const test::Bytes& packet) {
    if (packet.size() < 22 || packet[0] >> 4 != 4) return;
    public4 = Ipv4Address::load(&packet[12]);
    port = load_be16(&packet[20]);
  }
  void aim(test::Bytes& packet) const {
    if (packet.size() < 20) return;
    public4.store(&packet[16]);
    const std::size_t header = std::size_t{packet[0]} % 16 * 4;
    const bool first = (load_be16(&packet[6]) & 0x1fff) == 0;
    if (first && packet.size() >= header + 4) store_be16(&packet[header + 2], port);
    store_be16(&packet[10], 0);
    if (header >= 20 && header <= packet.size())
      store_be16(&packet[10], finish(sum_bytes(std::span{packet}.first(header))));
  }
};

// Goes the way back when it can: the server answers what it got.
test::Bytes answer(const test::Bytes& packet) {
  test::Bytes out = packet;
  if (out.size() < 28 || out[0] >> 4 != 4) return {};
  std::swap_ranges(&out[12], &out[16], &out[16]);
  if (out[9] == 1)
    out[20] = 0;
  else
    std::swap_ranges(&out[20], &out[22], &out[22]);
  return out;
}

// Released fragments, cut pieces, probes, answers to SYNs. What is whole we have made ourselves; of a piece
// only the IPv4 header can be looked at.
void check_extra(std::span<const std::uint8_t> packet) {
  const test::Bytes p(packet.begin(), packet.end());
  require(p.size() >= 20, "length beside the verdict");
  if (p[0] >> 4 == 6) {
    require(p.size() >= 40 && load_be16(&p[4]) + 40U == p.size(), "IPv6 length beside the verdict");
    require(parse_ipv6(p).has_value(), "IPv6 output beside the verdict parses");
  } else {
    require(p[0] == 0x45 && load_be16(&p[2]) == p.size(), "IPv4 length beside the verdict");
    require(parse_ipv4(p).has_value(), "IPv4 output beside the verdict parses");
  }
  const auto fault = test::checksum_fault(p);
  require(fault.empty(), fault.c_str());
}

void check_output(const test::Sent& sent, bool input_was_right) {
  for (const auto& extra : sent.extra) check_extra(extra);
  if (!sent.verdict.sends()) {
    require(sent.verdict.action != Verdict::Action::kDrop || sent.verdict.reason != DropReason::kUnclassified,
            "a drop without a reason");
    return;
  }
  const auto& p = sent.packet;
  if (sent.verdict.out == Side::kV6) {
    require(p.size() >= 40 && p[0] >> 4 == 6 && load_be16(&p[4]) + 40U == p.size(), "IPv6 length");
    if (sent.verdict.action == Verdict::Action::kForward)
      require(parse_ipv6(p).has_value(), "IPv6 output parses");
  } else {
    require(p.size() >= 20 && p[0] == 0x45 && load_be16(&p[2]) == p.size(), "IPv4 length");
    if (sent.verdict.action == Verdict::Action::kForward)
      require(parse_ipv4(p).has_value(), "IPv4 output parses");
  }
  if (input_was_right || sent.verdict.action == Verdict::Action::kReply) {
    const auto fault = test::checksum_fault(p);
    require(fault.empty(), fault.c_str());
  }
}

// Behind extension headers nobody has looked at the checksum.
bool verified(const test::Bytes& p) {
  if (!test::checksum_fault(p).empty()) return false;
  return p[0] >> 4 == 4 || p[6] == kProtoTcp || p[6] == kProtoUdp || p[6] == kProtoIcmp6;
}

void let_pass(test::Nat64Harness& nat, Duration by) {
  nat.advance(by);
  nat.translator.drain_extra([](Side, std::span<const std::uint8_t> packet) { check_extra(packet); });
}

void cannot_be_sent(test::Nat64Harness& nat, const test::Sent& sent) {
  nat.translator.unreachable(sent.verdict.out, sent.packet, Unreachable::kNeighbour, nat.now);
  nat.translator.expire(nat.now);
  nat.translator.drain_extra([](Side, std::span<const std::uint8_t> packet) { check_extra(packet); });
}

void flip_switches(Policy& policy, std::uint8_t choice) {
  policy.exclusions.ipv4_destinations.assign((choice & 1) != 0 ? 1 : 0,
                                             Ipv4Prefix{Ipv4Address{198, 41, 0, 4}, 32});
  auto& nat64 = policy.nat64;
  nat64.filtering = (choice & 8) != 0 ? Filtering::kAddressDependent : Filtering::kEndpointIndependent;
  nat64.mss_clamp = (choice & 0x10) != 0;
  nat64.hairpinning = (choice & 0x20) == 0;
  nat64.traffic_class = (choice & 0x40) != 0 ? TrafficClass::kZero : TrafficClass::kCopy;
  nat64.udp_zero_checksum = (choice & 0x80) != 0 ? UdpZeroChecksum::kDrop : UdpZeroChecksum::kCalculate;
}

void check_bounds(const Counters& c) {
  std::uint64_t sessions = 0;
  std::uint64_t bibs = 0;
  for (std::size_t i = 0; i < kProtocols; ++i) {
    sessions += c.sessions[i].get();
    bibs += c.bib_entries[i].get();
  }
  require(sessions <= kMaxSessions, "sessions are bounded");
  require(bibs <= sessions, "no binding without a session");
  require(c.held_fragments.get() <= 16 && c.held_syns.get() <= 8, "what is held is bounded");
  require(c.blocks_used.get() <= bibs, "no block without a binding");
  require(c.subscribers.get() <= bibs, "no subscriber without a binding");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  auto policy = test::nat64_policy();
  policy.pools[0].subscribers.ports_per_block = 16;
  policy.pools[0].subscribers.max_blocks = 2;
  test::Nat64Harness nat{policy,
                         test::nat64_allocation(),
                         {.max_sessions = kMaxSessions,
                          .max_subscribers = 4,
                          .max_held_fragments = 8,
                          .max_held_syns = 8,
                          .extra_bytes = 1 << 16,
                          .event_records = 16}};
  LastMapping mapping;
  std::span<const std::uint8_t> rest{data, size};
  while (rest.size() >= 3) {
    const std::uint8_t command = rest[0];
    const std::uint8_t choice = rest[1];
    const std::size_t length =
        std::min<std::size_t>(rest.size() - 3, std::size_t{rest[2]} * ((command & 0x80) != 0 ? 8 : 1));
    test::Bytes packet(rest.begin() + 3, rest.begin() + 3 + static_cast<std::ptrdiff_t>(length));
    rest = rest.subspan(3 + length);
    if (command % 8 == 7) {
      let_pass(nat, std::chrono::seconds{choice} * 4);
    } else if (command % 8 == 6) {
      flip_switches(policy, choice);
      auto allocation = test::nat64_allocation();
      allocation.addresses[0].withdrawn = (choice & 2) != 0;
      if ((choice & 4) != 0) allocation.addresses.pop_back();
      nat.apply(policy, allocation);
    } else {
      const Side side = (command & 1) != 0 ? Side::kV4 : Side::kV6;
      if ((choice & 0x80) == 0) make_plausible(packet, side, choice);
      if (side == Side::kV4 && (command & 0x20) != 0) mapping.aim(packet);
      // As another worker would hand it over, with a note that need not be true.
      const bool noted = (command & 0x40) != 0;
      const FragmentNote note{(choice & 1) != 0, std::uint16_t{choice}, 53, std::uint16_t{choice}};
      const bool right = verified(packet) && !noted;
      const auto sent = noted               ? nat.from_worker(side, packet, note)
                        : side == Side::kV6 ? nat.from_v6(packet)
                                            : nat.from_v4(packet);
      check_output(sent, right);
      if (sent.verdict.action == Verdict::Action::kForward) {
        if (sent.verdict.out == Side::kV4) mapping.learn(sent.packet);
        if ((command & 0x10) != 0) cannot_be_sent(nat, sent);
      }
      if (sent.verdict.action == Verdict::Action::kForward && sent.verdict.out == Side::kV4 &&
          (choice & 8) != 0) {
        const auto back = answer(sent.packet);
        check_output(nat.from_v4(back), verified(back));
      }
    }
    check_bounds(nat.translator.counters());
  }
  // Whatever happened, silence ends it.
  let_pass(nat, std::chrono::hours{3});
  for (int i = 0; i < 8; ++i)
    let_pass(nat, std::chrono::minutes{1});  // what was probed waits four minutes more
  require(nat.sessions() == 0 && nat.bib_entries() == 0, "all sessions end");
  require(nat.translator.counters().held_fragments.get() == 0, "no fragment is kept");
  require(nat.translator.counters().held_syns.get() == 0, "no SYN is kept");
  require(nat.translator.counters().blocks_used.get() == 0, "all blocks are given back");
  require(nat.translator.counters().subscribers.get() == 0, "all subscribers are forgotten");
  return 0;
}
