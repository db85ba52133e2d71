// SPDX-License-Identifier: Apache-2.0
// A burst is exactly its packets one after the other: verdicts, bytes, packets made beside them and counters.
#include <gtest/gtest.h>

#include <random>

#include "nat64-svc/core/packet/parse.hpp"
#include "tests/support/nat64_harness.hpp"

namespace isthmus::nat64 {
namespace {

using test::Bytes;
using test::PacketBuilder;

struct Input {
  Side from;
  Bytes bytes;
};

// Few clients, servers and ports, so that packets meet each other's sessions, fragments and limits.
class Traffic {
 public:
  explicit Traffic(unsigned seed) : random_(seed) {}

  Input next() {
    Input in = any(0, 1) == 0 ? from_client() : from_server();
    if (any(0, 19) == 0) in.bytes[any(0, static_cast<unsigned>(in.bytes.size() - 1))] ^= 1;  // broken
    if (any(0, 39) == 0) in.bytes.resize(any(0, static_cast<unsigned>(in.bytes.size())));    // cut off
    return in;
  }
  unsigned any(unsigned low, unsigned high) {
    return std::uniform_int_distribution<unsigned>{low, high}(random_);
  }
  // What went out to servers: answers go to it.
  void sent(const Bytes& packet) { sent_.push_back(packet); }

 private:
  static std::uint8_t flags(unsigned n) {
    constexpr std::array<std::uint8_t, 6> kFlags{tcp_flag::kSyn,
                                                 tcp_flag::kAck,
                                                 tcp_flag::kSyn | tcp_flag::kAck,
                                                 tcp_flag::kFin | tcp_flag::kAck,
                                                 tcp_flag::kRst,
                                                 0};
    return kFlags[n];
  }
  Bytes dress(PacketBuilder p, std::uint16_t source, std::uint16_t destination, bool v6) {
    p.ttl(static_cast<std::uint8_t>(any(1, 3))).payload(any(0, 3) == 0 ? any(1200, 1460) : any(0, 40));
    if (any(0, 9) == 0) {
      const bool later = any(0, 1) != 0;
      p.fragment(later ? 64 : 0, !later, any(1, 8)).payload(56);
      if (later) return p.protocol(17).bytes();
      return p.udp(source, destination).bytes();
    }
    switch (any(0, 2)) {
      case 0:
        return p.udp(source, destination).bytes();
      case 1:
        return p.tcp(source, destination, flags(any(0, 5))).bytes();
      default:
        return p.echo(v6 ? 128 : 0, v6 ? source : destination).bytes();
    }
  }
  Input from_client() {
    const std::string client = "2001:db8:1::" + std::to_string(any(1, 4));
    // The last one is a client of ours: a hairpin.
    const std::string server =
        any(0, 9) == 0 ? "2001:db8:64:cb00:71:100::" : "64:ff9b::198.41.0." + std::to_string(any(1, 3));
    const auto port = static_cast<std::uint16_t>(any(1000, 1005));
    return {Side::kV6, dress(PacketBuilder::ipv6(client, server), port, 53, true)};
  }
  Input from_server() {
    std::string server = "198.41.0." + std::to_string(any(1, 3));
    std::string to = "203.0.113." + std::to_string(any(1, 3));
    auto port = static_cast<std::uint16_t>(any(1024, 65535));
    if (!sent_.empty() && any(0, 4) != 0) {
      const auto packet = parse_ipv4(sent_[any(0, static_cast<unsigned>(sent_.size() - 1))]);
      if (packet) {
        server = packet->destination.to_string();
        to = packet->source.to_string();
        port = packet->source_port;
      }
    }
    return {Side::kV4, dress(PacketBuilder::ipv4(server, to), 53, port, false)};
  }
  std::mt19937 random_;
  std::vector<Bytes> sent_;
};

struct Outcome {
  Verdict verdict;
  Bytes packet;
};

// All of a harness's packets as one burst, in frames of their own.
std::vector<Outcome> as_burst(test::Nat64Harness& nat, const std::vector<Input>& inputs,
                              std::vector<Bytes>& extra) {
  std::vector<Bytes> frames;
  std::vector<BurstPacket> burst;
  for (const auto& in : inputs) {
    auto& frame = frames.emplace_back(kTranslationHeadroom + in.bytes.size() + 64);
    std::ranges::copy(in.bytes, frame.begin() + kTranslationHeadroom);
  }
  for (std::size_t i = 0; i < inputs.size(); ++i)
    burst.push_back(
        {inputs[i].from, PacketBuffer{frames[i], kTranslationHeadroom, inputs[i].bytes.size()}, {}});
  nat.translator.translate(burst, nat.now);
  std::vector<Outcome> out;
  for (const auto& p : burst) {
    out.push_back({p.verdict, {}});
    if (p.verdict.sends()) out.back().packet.assign(p.packet.packet().begin(), p.packet.packet().end());
  }
  nat.translator.drain_extra(
      [&](Side, std::span<const std::uint8_t> p) { extra.emplace_back(p.begin(), p.end()); });
  return out;
}

void expect_equal_counters(const Counters& a, const Counters& b) {
  for (std::size_t i = 0; i < a.events.size(); ++i)
    EXPECT_EQ(a.events[i].get(), b.events[i].get()) << kEventNames[static_cast<Event>(i)];
  for (const auto side : {Side::kV6, Side::kV4}) {
    for (std::size_t p = 0; p < kEnumSize<ProtocolSeen>; ++p) {
      for (std::size_t i = 0; i < kEnumSize<DropReason>; ++i)
        EXPECT_EQ(a.of(side).dropped[p][i].get(), b.of(side).dropped[p][i].get())
            << kProtocolSeenNames[static_cast<ProtocolSeen>(p)] << " "
            << kDropReasonNames[static_cast<DropReason>(i)];
    }
    EXPECT_EQ(a.of(side).received_bytes.get(), b.of(side).received_bytes.get());
    for (std::size_t i = 0; i < kProtocols; ++i)
      EXPECT_EQ(a.of(side).translated_bytes[i].get(), b.of(side).translated_bytes[i].get());
  }
}

TEST(Bursts, AreExactlyTheirPacketsOneByOne) {
  auto policy = test::nat64_policy();
  policy.pools[0].subscribers.max_sessions = 24;
  policy.nat64.mss_clamp = true;
  for (unsigned seed = 1; seed <= 20; ++seed) {
    test::Nat64Harness one{policy};
    test::Nat64Harness many{policy};
    Traffic traffic{seed};
    std::size_t forwarded = 0;
    for (int round = 0; round < 30; ++round) {
      std::vector<Input> inputs;
      for (unsigned n = traffic.any(1, 80); n > 0; --n) inputs.push_back(traffic.next());
      std::vector<Bytes> extra_one;
      std::vector<Bytes> extra_many;
      std::vector<Outcome> want;
      for (const auto& in : inputs) {
        auto sent = in.from == Side::kV6 ? one.from_v6(in.bytes) : one.from_v4(in.bytes);
        if (sent.verdict.action == Verdict::Action::kForward) ++forwarded;
        if (sent.verdict.sends() && sent.verdict.out == Side::kV4) traffic.sent(sent.packet);
        extra_one.insert(extra_one.end(), sent.extra.begin(), sent.extra.end());
        want.push_back({sent.verdict, std::move(sent.packet)});
      }
      const auto got = as_burst(many, inputs, extra_many);
      for (std::size_t i = 0; i < inputs.size(); ++i) {
        ASSERT_EQ(got[i].verdict.action, want[i].verdict.action) << test::describe(inputs[i].bytes);
        ASSERT_EQ(got[i].verdict.reason, want[i].verdict.reason) << test::describe(inputs[i].bytes);
        ASSERT_EQ(got[i].packet, want[i].packet) << test::describe(inputs[i].bytes);
      }
      ASSERT_EQ(extra_many, extra_one);
      const Duration pause = std::chrono::seconds{traffic.any(0, 30)};
      one.advance(pause);
      many.advance(pause);
    }
    EXPECT_GT(forwarded, 100U);
    expect_equal_counters(many.translator.counters(), one.translator.counters());
  }
}

}  // namespace
}  // namespace isthmus::nat64
