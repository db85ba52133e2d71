// SPDX-License-Identifier: Apache-2.0
// RFC 6146 §3.4: fragments, in and out of order.
#include <gtest/gtest.h>

#include "nat64-svc/core/packet/parse.hpp"
#include "nat64-svc/core/tables/fragment_table.hpp"
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

Bytes first6() {
  return PacketBuilder::ipv6(kClient, kServer6)
      .fragment(0, true, 0xabcd1234)
      .udp(4000, 53)
      .payload(56)
      .bytes();
}
Bytes later6(std::uint16_t offset = 64, bool more = false) {
  return PacketBuilder::ipv6(kClient, kServer6)
      .fragment(offset, more, 0xabcd1234)
      .protocol(17)
      .payload(16)
      .bytes();
}

TEST(Fragments, LaterOnesFollowTheFirst) {
  Nat64Harness nat;
  const auto a = parse_ipv4(nat.from_v6(first6()).packet).value();
  EXPECT_TRUE(a.more_fragments);
  EXPECT_EQ(a.fragment_id, 0x1234U);
  EXPECT_FALSE(a.dont_fragment);
  const auto sent = nat.from_v6(later6());
  ASSERT_EQ(sent.verdict.action, Action::kForward) << kDropReasonNames[sent.verdict.reason];
  const auto b = parse_ipv4(sent.packet).value();
  EXPECT_EQ(b.source, a.source);
  EXPECT_EQ(b.destination.to_string(), kServer4);
  EXPECT_EQ(b.fragment_id, 0x1234U);
  EXPECT_EQ(b.fragment_offset, 64);
  EXPECT_FALSE(b.more_fragments);
  const Bytes in = later6();
  EXPECT_EQ(Bytes(sent.packet.begin() + 20, sent.packet.end()), Bytes(in.begin() + 48, in.end()));
}

TEST(Fragments, OfAnEchoOneFirstOneIsHeldAndNoMore) {
  Nat64Harness nat;
  const auto first =
      PacketBuilder::ipv6(kClient, kServer6).fragment(0, true, 7).echo(128, 9).payload(56).bytes();
  EXPECT_EQ(nat.from_v6(first).verdict.action, Action::kHeld);
  const auto again = nat.from_v6(first);
  EXPECT_EQ(again.verdict.action, Action::kDrop);
  EXPECT_EQ(again.verdict.reason, DropReason::kFragmentTable);
}

TEST(Fragments, ThatComeTooEarlyAreHeldUntilTheFirst) {
  Nat64Harness nat;
  EXPECT_EQ(nat.from_v6(later6(64, true)).verdict.action, Action::kHeld);
  EXPECT_EQ(nat.from_v6(later6(80, false)).verdict.action, Action::kHeld);
  const auto sent = nat.from_v6(first6());
  EXPECT_EQ(sent.verdict.action, Action::kForward);
  ASSERT_EQ(sent.extra.size(), 2U);
  std::vector<int> offsets;
  for (const auto& extra : sent.extra) offsets.push_back(parse_ipv4(extra).value().fragment_offset);
  std::ranges::sort(offsets);
  EXPECT_EQ(offsets, (std::vector<int>{64, 80}));
  nat.advance(1ms);
  EXPECT_EQ(nat.translator.counters().held_fragments.get(), 0U);
}

TEST(Fragments, OfTheLargestMtuAreHeldToo) {
  Nat64Harness nat;
  const auto large = PacketBuilder::ipv6(kClient, kServer6)
                         .fragment(64, false, 0xabcd1234)
                         .protocol(17)
                         .payload(3498 - 48)
                         .bytes();
  ASSERT_EQ(large.size(), 3498U);
  nat.translator.set_route_mtu(
      [](void*, Side, std::span<const std::uint8_t>) -> std::uint32_t { return 3498; }, nullptr);
  EXPECT_EQ(nat.from_v6(large).verdict.action, Action::kHeld);
  const auto sent = nat.from_v6(first6());
  ASSERT_EQ(sent.extra.size(), 1U);
  EXPECT_EQ(sent.extra[0].size(), 3498U - 28);
}

TEST(Fragments, FromIpv4GetAFragmentHeaderWithTheSameNumbers) {
  Nat64Harness nat;
  const auto p =
      parse_ipv4(nat.from_v6(PacketBuilder::ipv6(kClient, kServer6).udp(4000, 53).bytes()).packet).value();
  const auto from = [&] { return PacketBuilder::ipv4(kServer4, p.source.to_string()); };
  EXPECT_EQ(nat.from_v4(from().fragment(64, false, 77).protocol(17).payload(10).bytes()).verdict.action,
            Action::kHeld);
  const auto sent = nat.from_v4(from().fragment(0, true, 77).udp(53, p.source_port).payload(56).bytes());
  ASSERT_EQ(sent.verdict.action, Action::kForward);
  ASSERT_EQ(sent.extra.size(), 1U);
  const auto a = parse_ipv6(sent.packet).value();
  const auto b = parse_ipv6(sent.extra[0]).value();
  EXPECT_EQ(a.fragment_id, 77U);
  EXPECT_EQ(a.destination_port, 4000);
  EXPECT_EQ(b.fragment_id, 77U);
  EXPECT_EQ(b.fragment_offset, 64);
  EXPECT_EQ(b.destination.to_string(), kClient);
}

TEST(Fragments, WithoutAFirstOneAreDroppedAfterTheirTime) {
  Nat64Harness nat;
  EXPECT_EQ(nat.from_v6(later6()).verdict.action, Action::kHeld);
  nat.advance(1999ms);
  EXPECT_EQ(nat.translator.counters().held_fragments.get(), 1U);
  nat.advance(2ms);
  EXPECT_EQ(nat.translator.counters().held_fragments.get(), 0U);
  const auto& dropped = nat.translator.counters().of(Side::kV6).dropped;
  EXPECT_EQ(dropped[static_cast<std::size_t>(ProtocolSeen::kUdp)]
                   [static_cast<std::size_t>(DropReason::kFragmentTimeout)]
                       .get(),
            1U);
}

Bytes fragment_of(std::uint32_t id, bool first) {
  auto packet = PacketBuilder::ipv6(kClient, kServer6).fragment(first ? 0 : 64, first, id);
  if (first) return packet.udp(4000, 53).payload(56).bytes();
  return packet.protocol(17).payload(16).bytes();
}

std::uint64_t no_room(const Nat64Harness& nat) {
  return nat.translator.counters()
      .of(Side::kV6)
      .dropped[static_cast<std::size_t>(ProtocolSeen::kUdp)]
              [static_cast<std::size_t>(DropReason::kFragmentTable)]
      .get();
}

constexpr TranslatorLimits kFourHeld{.max_sessions = 64, .max_subscribers = 8, .max_held_fragments = 4};

// Whoever sends what can never be completed takes the place of what waits longest, not of what comes.
TEST(Fragments, AreHeldInBoundsAndTheOldestMakeRoom) {
  Nat64Harness nat{test::nat64_policy(), test::nat64_allocation(), kFourHeld};
  for (std::uint32_t id = 0; id < 6; ++id)
    EXPECT_EQ(nat.from_v6(fragment_of(id, false)).verdict.action, Action::kHeld);
  EXPECT_EQ(no_room(nat), 2U);
  EXPECT_TRUE(nat.from_v6(fragment_of(0, true)).extra.empty());
  EXPECT_EQ(nat.from_v6(fragment_of(5, true)).extra.size(), 1U);
  nat.advance(1ms);
  EXPECT_EQ(nat.translator.counters().held_fragments.get(), 3U);
}

TEST(Fragments, OfOnePacketAreHeldInBounds) {
  Nat64Harness nat{test::nat64_policy(), test::nat64_allocation(), kFourHeld};
  for (std::uint16_t n = 0; n < 4; ++n)
    EXPECT_EQ(nat.from_v6(later6(static_cast<std::uint16_t>(64 + 16 * n), true)).verdict.action,
              Action::kHeld);
  EXPECT_EQ(nat.from_v6(later6(512, false)).verdict.reason, DropReason::kFragmentTable);
  EXPECT_EQ(nat.from_v6(first6()).extra.size(), 4U);
}

// Those that come and go meanwhile do not age what waits.
TEST(Fragments, OneWaitsWhileOthersAreHeldAndLetGo) {
  Nat64Harness nat{test::nat64_policy(), test::nat64_allocation(), kFourHeld};
  EXPECT_EQ(nat.from_v6(later6(64, true)).verdict.action, Action::kHeld);
  for (std::uint32_t id = 0; id < 20; ++id) {
    ASSERT_EQ(nat.from_v6(fragment_of(id, false)).verdict.action, Action::kHeld);
    ASSERT_EQ(nat.from_v6(fragment_of(id, true)).extra.size(), 1U);
  }
  EXPECT_EQ(nat.from_v6(later6(80, false)).verdict.action, Action::kHeld);
  EXPECT_EQ(nat.from_v6(first6()).extra.size(), 2U);
  EXPECT_EQ(no_room(nat), 0U);
}

TEST(Fragments, InOrderPassHoweverManyPacketsThereAre) {
  Nat64Harness nat{test::nat64_policy(), test::nat64_allocation(), kFourHeld};
  for (std::uint32_t id = 0; id < 10 * 4 * FragmentTable::kNotesPerHeld; ++id) {
    ASSERT_EQ(nat.from_v6(fragment_of(id, true)).verdict.action, Action::kForward);
    ASSERT_EQ(nat.from_v6(fragment_of(id, false)).verdict.action, Action::kForward) << id;
  }
  EXPECT_EQ(no_room(nat), 0U);
}

// Everything that left while these packets were sent.
std::vector<Bytes> send_all(Nat64Harness& nat, Side side, const std::vector<Bytes>& packets) {
  std::vector<Bytes> out;
  for (const auto& p : packets) {
    auto sent = side == Side::kV6 ? nat.from_v6(p) : nat.from_v4(p);
    if (sent.verdict.sends()) out.push_back(sent.packet);
    out.insert(out.end(), sent.extra.begin(), sent.extra.end());
  }
  return out;
}

// RFC 6146 §3.4: in any order. The ICMPv6 checksum covers the length of the whole, which is known only when
// the last fragment came.
TEST(FragmentedEcho, IsTranslatedInEveryOrderAndBothDirections) {
  const auto question = PacketBuilder::ipv6(kClient, kServer6).echo(128, 777).payload(2000).bytes();
  std::vector<std::size_t> order{0, 1, 2};
  do {
    Nat64Harness nat;
    const auto pieces = test::cut_into_fragments(question, 800, 0x11112222);
    ASSERT_EQ(pieces.size(), 3U);
    std::vector<Bytes> shuffled;
    for (const auto i : order) shuffled.push_back(pieces[i]);
    const auto out = test::put_together(send_all(nat, Side::kV6, shuffled));
    ASSERT_EQ(out.size(), 20 + 2008U);
    EXPECT_EQ(test::checksum_fault(out), "");
    const auto seen = parse_ipv4(out).value();
    EXPECT_EQ(seen.icmp_type, icmp4::kEchoRequest);
    EXPECT_EQ(Bytes(out.begin() + 28, out.end()), Bytes(question.begin() + 48, question.end()));

    const auto answer = PacketBuilder::ipv4(kServer4, seen.source.to_string())
                            .echo(0, seen.source_port)
                            .payload(2000)
                            .bytes();
    const auto answers = test::cut_into_fragments(answer, 1000, 77);
    std::vector<Bytes> back;
    for (const auto i : order) {
      if (i < answers.size()) back.push_back(answers[i]);
    }
    const auto in = test::put_together(send_all(nat, Side::kV4, back));
    EXPECT_EQ(in, PacketBuilder::ipv6(kServer6, kClient).ttl(63).echo(129, 777).payload(2000).bytes());
    nat.advance(1ms);
    EXPECT_EQ(nat.translator.counters().held_fragments.get(), 0U);
  } while (std::ranges::next_permutation(order).found);
}

TEST(FragmentedEcho, WithoutItsLastFragmentIsDroppedAfterItsTime) {
  Nat64Harness nat;
  const auto pieces = test::cut_into_fragments(
      PacketBuilder::ipv6(kClient, kServer6).echo(128, 777).payload(2000).bytes(), 800, 5);
  EXPECT_EQ(nat.from_v6(pieces[0]).verdict.action, Action::kHeld);
  EXPECT_EQ(nat.from_v6(pieces[1]).verdict.action, Action::kHeld);
  EXPECT_EQ(nat.sessions(), 0U);
  nat.advance(3s);
  EXPECT_EQ(nat.translator.counters().held_fragments.get(), 0U);
  // The last one alone opens nothing.
  EXPECT_EQ(nat.from_v6(pieces[2]).verdict.action, Action::kHeld);
  nat.advance(3s);
  EXPECT_EQ(nat.sessions(), 0U);
  EXPECT_EQ(nat.translator.counters().held_fragments.get(), 0U);
}

// RFC 6146 §3.4: held until all of it is here, then it gets the checksum that IPv6 demands.
class FragmentedUdpWithoutChecksum : public testing::Test {
 protected:
  FragmentedUdpWithoutChecksum() : FragmentedUdpWithoutChecksum(test::nat64_policy()) {}
  explicit FragmentedUdpWithoutChecksum(const Policy& policy) : nat{policy} {
    const auto p =
        parse_ipv4(nat.from_v6(PacketBuilder::ipv6(kClient, kServer6).udp(4000, 53).bytes()).packet);
    public4 = p->source.to_string();
    port = p->source_port;
  }
  std::vector<Bytes> pieces(std::size_t chunk) const {
    return test::cut_into_fragments(
        PacketBuilder::ipv4(kServer4, public4).udp(53, port).udp_without_checksum().payload(2001).bytes(),
        chunk, 77);
  }
  std::uint64_t dropped(DropReason reason) const {
    return nat.translator.counters()
        .of(Side::kV4)
        .dropped[static_cast<std::size_t>(ProtocolSeen::kUdp)][static_cast<std::size_t>(reason)]
        .get();
  }

  Nat64Harness nat;
  std::string public4;
  std::uint16_t port = 0;
  const Bytes expected = PacketBuilder::ipv6(kServer6, kClient).ttl(63).udp(53, 4000).payload(2001).bytes();
};

TEST_F(FragmentedUdpWithoutChecksum, GetsOneInEveryOrderAgainAndAgain) {
  std::vector<std::size_t> order{0, 1, 2};
  do {  // the same identification each time
    std::vector<Bytes> shuffled;
    for (const auto i : order) shuffled.push_back(pieces(800)[i]);
    const auto out = send_all(nat, Side::kV4, shuffled);
    EXPECT_EQ(out.size(), 3U);
    EXPECT_EQ(test::put_together(out), expected);
    EXPECT_EQ(nat.translator.counters().held_fragments.get(), 0U);
  } while (std::ranges::next_permutation(order).found);
}

TEST_F(FragmentedUdpWithoutChecksum, IsDroppedInSilenceWhenAPieceIsMissing) {
  for (const std::size_t missing : {0U, 1U, 2U}) {
    auto some = pieces(800);
    some.erase(some.begin() + static_cast<std::ptrdiff_t>(missing));
    EXPECT_TRUE(send_all(nat, Side::kV4, some).empty());
    nat.advance(3s);
    EXPECT_EQ(nat.translator.counters().held_fragments.get(), 0U);
    EXPECT_EQ(dropped(DropReason::kFragmentTimeout), 2 * (missing + 1));
  }
}

TEST_F(FragmentedUdpWithoutChecksum, InTooManyPiecesIsNotCompleted) {
  EXPECT_TRUE(send_all(nat, Side::kV4, pieces(24)).empty());
  EXPECT_FALSE(send_all(nat, Side::kV4,
                        test::cut_into_fragments(PacketBuilder::ipv4(kServer4, public4)
                                                     .udp(53, port)
                                                     .udp_without_checksum()
                                                     .payload(500)
                                                     .bytes(),
                                                 8, 78))
                   .empty());
}

class FragmentedUdpToDrop : public FragmentedUdpWithoutChecksum {
 protected:
  static Policy dropping() {
    auto policy = test::nat64_policy();
    policy.nat64.udp_zero_checksum = UdpZeroChecksum::kDrop;
    return policy;
  }
  FragmentedUdpToDrop() : FragmentedUdpWithoutChecksum(dropping()) {}
};

TEST_F(FragmentedUdpToDrop, IsDroppedWhenThePolicySaysSo) {
  const auto first = nat.from_v4(pieces(800)[0]);
  EXPECT_EQ(first.verdict.action, Action::kDrop);
  EXPECT_EQ(first.verdict.reason, DropReason::kUdpZeroChecksum);
}

// Two packets from anybody who knows a mapped port: the one without a checksum can never be completed once
// the other has told the ports, and must not be held and let go for ever.
TEST(Fragments, OneThatWaitsForItsChecksumIsLetGoOnceWhenAnotherFirstOnePasses) {
  Nat64Harness nat;
  const auto p =
      parse_ipv4(nat.from_v6(PacketBuilder::ipv6(kClient, kServer6).udp(4000, 53).bytes()).packet).value();
  const auto first = [&] {
    return PacketBuilder::ipv4(kServer4, p.source.to_string()).fragment(0, true, 77).udp(53, p.source_port);
  };
  auto bare = first().payload(56).bytes();
  store_be16(&bare[26], 0);
  EXPECT_EQ(nat.from_v4(bare).verdict.action, Action::kHeld);
  const auto sent = nat.from_v4(first().payload(56).bytes());
  EXPECT_EQ(sent.verdict.action, Action::kForward);
  EXPECT_TRUE(sent.extra.empty());
  const auto& c = nat.translator.counters();
  EXPECT_EQ(c.of(Side::kV4)
                .dropped[static_cast<std::size_t>(ProtocolSeen::kUdp)]
                        [static_cast<std::size_t>(DropReason::kFragmentTable)]
                .get(),
            1U);
  EXPECT_EQ(c.events[static_cast<std::size_t>(Event::kFragmentReleased)].get(), 0U);
  nat.advance(1ms);
  EXPECT_EQ(c.held_fragments.get(), 0U);
}

}  // namespace
}  // namespace isthmus::nat64
