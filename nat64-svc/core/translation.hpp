// SPDX-License-Identifier: Apache-2.0
// What Translator hides: one worker's state and the steps of RFC 6146 on it. translator.cpp has the way of a
// packet, translator_fragments.cpp what fragments need before they can go it, translator_errors.cpp the ICMP
// errors, those that pass and those that we answer with.
#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <span>

#include "nat64-svc/core/owners.hpp"
#include "nat64-svc/core/packet/parsed.hpp"
#include "nat64-svc/core/packet/write.hpp"
#include "nat64-svc/core/refusal.hpp"
#include "nat64-svc/core/steps/filter_and_update.hpp"
#include "nat64-svc/core/translator.hpp"
#include "nat64-svc/core/worker_state.hpp"

namespace isthmus::nat64 {

// What becomes of a packet, or why it goes nowhere.
using Outcome = Result<Verdict, Refusal>;

class Translation {
 public:
  Translation(const TranslatorLimits& limits, HashKey key, std::uint64_t seed) : state_(limits, key, seed) {}

  void translate(std::span<BurstPacket> burst, TimePoint now);
  // `hint`: the number of the session that the packet likely belongs to, or kNone.
  Verdict from_v6(PacketBuffer& buffer, TimePoint now, std::uint32_t hint = kNone);
  Verdict from_v4(PacketBuffer& buffer, TimePoint now, std::uint32_t hint = kNone,
                  const FragmentNote& told = {});
  bool expire(TimePoint now);
  void unreachable(Side out, std::span<const std::uint8_t> packet, Unreachable why, TimePoint now);
  void set_route_mtu(Translator::RouteMtu function, void* context) {
    route_mtu_ = function;
    route_mtu_context_ = context;
  }
  [[nodiscard]] Explanation explain(Side from, std::span<const std::uint8_t> packet, TimePoint now,
                                    const FragmentNote& told) const;

  WorkerState state_;

 private:
  // The way of a packet.
  [[nodiscard]] std::uint64_t prefetch(const BurstPacket& p) const;
  void prefetch_binding(const BurstPacket& p) const;
  Outcome packet_from_v6(PacketBuffer& buffer, Parsed6& packet, TimePoint now, std::uint32_t hint = kNone);
  Outcome send_as_ipv4(PacketBuffer& buffer, const Parsed6& packet, const Flow& flow, TimePoint now);
  Outcome packet_from_v4(PacketBuffer& buffer, Parsed4& packet, TimePoint now, std::uint32_t hint = kNone,
                         const FragmentNote& told = {});
  Outcome open_from_v4(PacketBuffer& buffer, const Parsed4& packet, const Tuple4& tuple, TimePoint now);
  Outcome send_as_ipv6(PacketBuffer& buffer, const Parsed4& packet, const Flow& flow, TimePoint now);
  void clamp_mss_of_syn(PacketBuffer& buffer, std::size_t l4_offset, const Parsed& packet, const Flow& flow);
  [[gnu::noinline]] Outcome send_to_client(PacketBuffer& buffer, const Parsed6& packet, const Flow& flow,
                                           TimePoint now);
  Outcome hairpin(PacketBuffer& buffer, TimePoint now);
  Outcome hold_syn(const PacketBuffer& buffer, const Tuple4& tuple, TimePoint now);

  // Fragments.
  Outcome fragment_from_v4(PacketBuffer& buffer, Parsed4& packet, TimePoint now, const FragmentNote& told);
  template <class P>
  [[nodiscard]] std::optional<Outcome> wait_for_others(Side side, const PacketBuffer& buffer, P& packet,
                                                       TimePoint now);
  void complete_checksum(const FragmentKey& key, TimePoint now);
  Outcome hold(Side side, const PacketBuffer& buffer, const FragmentKey& key, bool first, TimePoint now);
  // The first fragment has passed: those that came before it follow, beside the verdict.
  template <class P>
  void release_those_behind(Side side, const P& packet, TimePoint now) {
    if (packet.more_fragments && packet.has_l4_header()) [[unlikely]]
      release_held_behind(side, packet, now);
  }
  template <class P>
  void release_held_behind(Side side, const P& packet, TimePoint now);
  void release(Side side, std::span<const std::uint8_t> bytes, TimePoint now);
  bool send_beside(Side side, std::span<const std::uint8_t> bytes, const Outcome& outcome,
                   const PacketBuffer& buffer);
  template <class P>
  Outcome released(PacketBuffer& buffer, Result<P, Refusal> packet, TimePoint now);

  static FragmentKey key_of(const Parsed6& p) {
    return {p.source, p.destination, p.fragment_id, ip_protocol4(p.protocol)};
  }
  static FragmentKey key_of(const Parsed4& p) {
    return {Ipv6Address::from_halves(0, p.source.value()), Ipv6Address::from_halves(0, p.destination.value()),
            p.fragment_id, ip_protocol4(p.protocol)};
  }
  [[nodiscard]] FragmentTable& fragments(Side side) {
    return state_.fragments[static_cast<std::size_t>(side)];
  }
  void remember_fragments(Side side, const FragmentKey& key, TimePoint now);
  // Counts held fragments, by protocol, that make room.
  [[nodiscard]] auto given_up(Side side) {
    return [this, side](std::uint8_t protocol) {
      state_.counters.of(side).drop(protocol_seen(protocol), DropReason::kFragmentTable).add();
    };
  }

  // ICMP errors.
  void take_own_error(Side side, std::span<const std::uint8_t> bytes, TimePoint now);
  Outcome error_from_client(PacketBuffer& buffer, const Parsed6& outer, TimePoint now);
  Outcome error_from_v6(PacketBuffer& buffer, const Parsed6& outer, TimePoint now);
  Outcome error_from_v4(PacketBuffer& buffer, const Parsed4& outer, TimePoint now);
  Verdict refuse(Side side, PacketBuffer& buffer, const Refusal& refusal, TimePoint now);

  [[nodiscard]] std::uint32_t mtu6(const Ipv6Address& to) const {
    const std::uint32_t route =
        route_mtu_ != nullptr ? route_mtu_(route_mtu_context_, Side::kV6, to.bytes()) : 0;
    return std::max<std::uint32_t>(1280, route != 0 ? route : state_.runtime->options.mtu6);
  }
  [[nodiscard]] std::uint32_t mtu4(Ipv4Address to) const {
    std::array<std::uint8_t, 4> bytes{};
    to.store(bytes.data());
    const std::uint32_t route = route_mtu_ != nullptr ? route_mtu_(route_mtu_context_, Side::kV4, bytes) : 0;
    return std::max<std::uint32_t>(68, route != 0 ? route : state_.runtime->options.mtu4);
  }
  [[nodiscard]] std::uint16_t owner_of_fragment(const Parsed4& p) const {
    return fragment_owner(*state_.runtime, p.source, p.destination, p.fragment_id);
  }
  [[nodiscard]] bool is_me(std::uint16_t owner) const { return owner == state_.runtime->options.worker; }

  // RFC 6864: needed only when DF is clear; unpredictable all the same (RFC 7739). Four come from one number.
  [[nodiscard]] std::uint16_t identification() {
    if (identifications_ == 0) identifications_ = state_.random();
    const auto id = static_cast<std::uint16_t>(identifications_);
    identifications_ >>= 16;
    return id;
  }

  std::size_t count_received(Side side, const PacketBuffer& buffer) {
    auto& c = state_.counters.of(side);
    c.received_packets.add();
    c.received_bytes.add(buffer.length());
    return buffer.length();
  }
  void count_translated(Side side, Protocol protocol, const Verdict& verdict, std::size_t length) {
    if (verdict.action != Verdict::Action::kForward) return;
    auto& c = state_.counters.of(side);
    c.translated_packets[static_cast<std::size_t>(protocol)].add();
    c.translated_bytes[static_cast<std::size_t>(protocol)].add(length);
  }
  Verdict hand_over(Side side, std::uint16_t owner) {
    state_.counters.of(side).handed_over_packets.add();
    Verdict verdict = Verdict::hand_over(owner);
    verdict.out = side;
    return verdict;
  }
  Verdict drop(Side side, std::span<const std::uint8_t> packet, DropReason reason) {
    state_.counters.of(side).drop(protocol_seen(packet), reason).add();
    return Verdict::drop(reason);
  }

  std::array<bool, 2> letting_go_{};  // of each side: a held fragment is on its way now
  std::uint64_t identifications_ = 0;
  Translator::RouteMtu route_mtu_ = nullptr;
  void* route_mtu_context_ = nullptr;
};

}  // namespace isthmus::nat64
