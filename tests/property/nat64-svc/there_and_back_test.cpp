// SPDX-License-Identifier: Apache-2.0
// Properties over many random packets: what a client sends reaches the server with payload and checksum
// right, and the answer comes back exactly as if there were no translator.
#include <gtest/gtest.h>

#include <random>

#include "nat64-svc/core/packet/parse.hpp"
#include "tests/support/nat64_harness.hpp"

namespace isthmus::nat64 {
namespace {

using test::Bytes;
using test::PacketBuilder;

TEST(ThereAndBack, AnswersArriveAsIfThereWereNoTranslator) {
  std::mt19937 random{2024};
  const auto any = [&](unsigned low, unsigned high) {
    return static_cast<std::uint16_t>(std::uniform_int_distribution<unsigned>{low, high}(random));
  };
  test::Nat64Harness nat;
  for (int i = 0; i < 3000; ++i) {
    const std::string client = "2001:db8:1:" + std::to_string(any(0, 3)) + "::" + std::to_string(any(1, 20));
    const Ipv4Address server4{static_cast<std::uint8_t>(any(11, 99)), 200,
                              static_cast<std::uint8_t>(any(0, 255)), 7};
    const std::string server6 = "64:ff9b::" + server4.to_string();
    const auto port = any(1, 65535);
    const auto peer = any(1, 65535);
    const auto hops = static_cast<std::uint8_t>(any(2, 255));
    const auto tos = static_cast<std::uint8_t>(any(0, 255));
    const std::size_t length = any(0, 1100);
    const int protocol = any(0, 2);
    const auto dress = [&](PacketBuilder p, bool request, std::uint16_t inner, bool v6) {
      p.ttl(hops).traffic_class(tos).payload(length);
      if (protocol == 2) return p.echo(v6 ? (request ? 128 : 129) : (request ? 8 : 0), inner, peer).bytes();
      const auto from = request ? inner : peer;
      const auto to = request ? peer : inner;
      if (protocol == 1) return p.udp(from, to).bytes();
      return p.tcp(from, to, request ? tcp_flag::kSyn : tcp_flag::kSyn | tcp_flag::kAck).bytes();
    };
    const auto out = nat.from_v6(dress(PacketBuilder::ipv6(client, server6), true, port, true));
    ASSERT_EQ(out.verdict.action, Verdict::Action::kForward)
        << i << " " << kDropReasonNames[out.verdict.reason];
    ASSERT_EQ(test::checksum_fault(out.packet), "") << i << " " << test::describe(out.packet);
    const auto seen = parse_ipv4(out.packet).value();
    ASSERT_EQ(seen.destination, server4);
    ASSERT_EQ(seen.hop_limit, hops - 1);
    ASSERT_EQ(seen.traffic_class, tos);
    const auto back = nat.from_v4(dress(PacketBuilder::ipv4(server4.to_string(), seen.source.to_string()),
                                        false, seen.source_port, false));
    Bytes want = dress(PacketBuilder::ipv6(server6, client), false, port, true);
    want[7] = static_cast<std::uint8_t>(hops - 1);
    ASSERT_EQ(back.packet, want) << i << " " << test::describe(back.packet);
  }
}

}  // namespace
}  // namespace isthmus::nat64
