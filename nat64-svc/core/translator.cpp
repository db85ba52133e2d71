// SPDX-License-Identifier: Apache-2.0
// The map of RFC 6146: parse, determine the incoming tuple (§3.4), filter and update (§3.5), compute the
// outgoing tuple (§3.6), translate (RFC 7915), hairpin (§3.8). Each step's details are one jump away.
#include "nat64-svc/core/translator.hpp"

#include <algorithm>
#include <array>

#include "nat64-svc/core/explain.hpp"
#include "nat64-svc/core/icmp_reply.hpp"
#include "nat64-svc/core/owners.hpp"
#include "nat64-svc/core/packet/parse.hpp"
#include "nat64-svc/core/packet/peek.hpp"
#include "nat64-svc/core/rfc7915/four_to_six.hpp"
#include "nat64-svc/core/rfc7915/fragment.hpp"
#include "nat64-svc/core/rfc7915/icmp_tables.hpp"
#include "nat64-svc/core/rfc7915/mss_clamp.hpp"
#include "nat64-svc/core/rfc7915/six_to_four.hpp"
#include "nat64-svc/core/steps/determine_incoming_tuple.hpp"
#include "nat64-svc/core/translation.hpp"

namespace isthmus::nat64 {

// In three passes, so that no packet waits for memory: the slots of the index are fetched, then the
// sessions, and when their turn comes both are there. Only the third pass decides anything.
void Translation::translate(std::span<BurstPacket> burst, TimePoint now) {
  constexpr std::size_t kAhead = 32;
  std::array<std::uint64_t, kAhead> hashes;
  std::array<std::uint32_t, kAhead> hints;
  while (!burst.empty()) {
    const auto some = burst.first(std::min(burst.size(), kAhead));
    burst = burst.subspan(some.size());
    for (std::size_t i = 0; i < some.size(); ++i) hashes[i] = prefetch(some[i]);
    for (std::size_t i = 0; i < some.size(); ++i) {
      hints[i] = hashes[i] == 0 ? kNone : state_.tables.candidate(some[i].from, hashes[i]);
      if (hints[i] == kNone && hashes[i] != 0) prefetch_binding(some[i]);
    }
    for (std::size_t i = 0; i < some.size(); ++i) {
      auto& p = some[i];
      p.verdict =
          p.from == Side::kV6 ? from_v6(p.packet, now, hints[i]) : from_v4(p.packet, now, hints[i], p.note);
    }
  }
}

// Flattened, these two: what the steps give one another then stays in registers.
[[gnu::flatten]] Verdict Translation::from_v6(PacketBuffer& buffer, TimePoint now, std::uint32_t hint) {
  const std::size_t length = count_received(Side::kV6, buffer);
  if (!state_.runtime) return drop(Side::kV6, buffer.packet(), DropReason::kNotReady);
  auto packet = parse_ipv6(buffer.packet());
  if (!packet) [[unlikely]]
    return refuse(Side::kV6, buffer, packet.error(), now);
  auto verdict = packet->kind == Kind::kIcmpError ? error_from_client(buffer, *packet, now)
                                                  : packet_from_v6(buffer, *packet, now, hint);
  if (!verdict) return refuse(Side::kV6, buffer, verdict.error(), now);
  count_translated(Side::kV6, packet->protocol, *verdict, length);
  return *verdict;
}

[[gnu::flatten]] Verdict Translation::from_v4(PacketBuffer& buffer, TimePoint now, std::uint32_t hint,
                                              const FragmentNote& told) {
  const std::size_t length = count_received(Side::kV4, buffer);
  if (!state_.runtime) return drop(Side::kV4, buffer.packet(), DropReason::kNotReady);
  auto packet = parse_ipv4(buffer.packet());
  if (!packet) [[unlikely]]
    return refuse(Side::kV4, buffer, packet.error(), now);
  auto verdict = packet->kind == Kind::kIcmpError ? error_from_v4(buffer, *packet, now)
                                                  : packet_from_v4(buffer, *packet, now, hint, told);
  if (!verdict) return refuse(Side::kV4, buffer, verdict.error(), now);
  count_translated(Side::kV4, packet->protocol, *verdict, length);
  return *verdict;
}

Explanation Translation::explain(Side from, std::span<const std::uint8_t> packet, TimePoint now,
                                 const FragmentNote& told) const {
  return nat64::explain(
      state_,
      {[this](const Ipv6Address& to) { return mtu6(to); }, [this](Ipv4Address to) { return mtu4(to); }}, from,
      packet, now, told);
}

// The hash of the packet's tuple, whose slot in the index is on its way; 0: a packet of a rare kind.
std::uint64_t Translation::prefetch(const BurstPacket& p) const {
  TupleWords tuple;
  if (p.from == Side::kV6) return peek_ipv6(p.packet.packet(), tuple) ? state_.tables.prefetch6(tuple) : 0;
  return peek_ipv4(p.packet.packet(), tuple) ? state_.tables.prefetch4(tuple) : 0;
}

// Of a packet without a session, which will look for its binding.
void Translation::prefetch_binding(const BurstPacket& p) const {
  TupleWords tuple;
  if (p.from == Side::kV6) {
    if (peek_ipv6(p.packet.packet(), tuple)) state_.tables.prefetch_bib6(tuple);
  } else if (peek_ipv4(p.packet.packet(), tuple)) {
    state_.tables.prefetch_bib4(tuple);
  }
}

Outcome Translation::packet_from_v6(PacketBuffer& buffer, Parsed6& packet, TimePoint now,
                                    std::uint32_t hint) {
  // RFC 7915 §5.1: as a router; before any state is made.
  if (packet.hop_limit <= 1) return failure(Refusal{DropReason::kHopLimit, {icmp6::kTimeExceeded, 0, 0}});
  if (packet.is_fragment()) [[unlikely]] {
    if (const auto owner = client_owner(*state_.runtime, packet.source); !is_me(owner))
      return hand_over(Side::kV6, owner);
    if (auto waits = wait_for_others(Side::kV6, buffer, packet, now)) return *waits;
  }
  const Tuple6 tuple = incoming_tuple(packet);
  const auto session = find_session(state_, tuple, now, hint);
  if (session != kNone) [[likely]]
    return send_as_ipv4(buffer, packet, touch(state_, session, Side::kV6, packet.tcp_flags, now), now);
  if (const auto owner = client_owner(*state_.runtime, packet.source); !is_me(owner))
    return hand_over(Side::kV6, owner);
  const auto flow = open_flow(state_, tuple, packet.tcp_flags, now);
  if (!flow) return failure(flow.error());
  return send_as_ipv4(buffer, packet, *flow, now);
}

Outcome Translation::send_as_ipv4(PacketBuffer& buffer, const Parsed6& packet, const Flow& flow,
                                  TimePoint now) {
  std::uint32_t fragment_to = 0;
  if (length_as_ipv4(packet) > 576) {
    const std::uint32_t mtu = mtu4(flow.four.server4.address);
    if (length_as_ipv4(packet) > mtu) {
      const std::uint32_t told = std::max<std::uint32_t>(1280, mtu + 20);
      if (packet.total_length() > told)
        return failure(Refusal{DropReason::kTooBig, {icmp6::kPacketTooBig, 0, told}});
      fragment_to = mtu;  // §5.1: DF is clear, and RFC 8200 §5 lets no IPv6 host be asked for less
    }
  }
  if (flow.hairpin) [[unlikely]]
    return send_to_client(buffer, packet, flow, now);
  six_to_four(buffer, packet, flow.four, state_.runtime->nat64, identification());
  clamp_mss_of_syn(buffer, kIpv4Header, packet, flow);
  if (fragment_to != 0) [[unlikely]] {
    const auto pieces = fragment_ipv4(buffer, fragment_to, state_.extra);
    if (!pieces) return failure(Refusal{pieces.error().reason});
    state_.counters.of(Event::kFragmentsMade).add(*pieces);
  }
  release_those_behind(Side::kV6, packet, now);
  return Verdict::forward(Side::kV4);
}

Outcome Translation::packet_from_v4(PacketBuffer& buffer, Parsed4& packet, TimePoint now, std::uint32_t hint,
                                    const FragmentNote& told) {
  const bool ordinary = packet.hop_limit > 1 && !packet.is_fragment();
  if (ordinary) [[likely]] {
    const auto session = find_session(state_, incoming_tuple(packet), now, hint);
    if (session != kNone) [[likely]]
      return send_as_ipv6(buffer, packet, touch(state_, session, Side::kV4, packet.tcp_flags, now), now);
  }
  // Not for us, so not ours to answer.
  if (!state_.pool.contains(packet.destination)) return failure(Refusal{DropReason::kNotOurAddress});
  if (packet.hop_limit <= 1) return failure(Refusal{DropReason::kHopLimit, {icmp4::kTimeExceeded, 0, 0}});
  if (packet.is_fragment()) return fragment_from_v4(buffer, packet, now, told);
  const Tuple4 tuple = incoming_tuple(packet);
  if (const auto owner = public4_owner(*state_.runtime, tuple.protocol, tuple.public4); !is_me(owner))
    return hand_over(Side::kV4, owner);
  return open_from_v4(buffer, packet, tuple, now);
}

Outcome Translation::open_from_v4(PacketBuffer& buffer, const Parsed4& packet, const Tuple4& tuple,
                                  TimePoint now) {
  const auto flow = open_flow(state_, tuple, packet.tcp_flags, now);
  if (!flow && flow.error().reason == DropReason::kSynUnsolicited) return hold_syn(buffer, tuple, now);
  if (!flow) return failure(flow.error());
  return send_as_ipv6(buffer, packet, *flow, now);
}

// §3.5.2.2: answered later, unless the client opens the same connection.
Outcome Translation::hold_syn(const PacketBuffer& buffer, const Tuple4& tuple, TimePoint now) {
  if (!state_.held_syns.hold(tuple, buffer.packet(), now + state_.runtime->nat64.timeouts.tcp_incoming_syn))
    return failure(Refusal{DropReason::kSynQueueFull});
  state_.counters.of(Event::kSynHeld).add();
  state_.counters.of(Side::kV4).held_packets.add();
  return Verdict::held();
}

Outcome Translation::send_as_ipv6(PacketBuffer& buffer, const Parsed4& packet, const Flow& flow,
                                  TimePoint now) {
  std::uint32_t fragment_to = 0;
  if (length_as_ipv6(packet) > 1280) {
    const std::uint32_t mtu = mtu6(flow.six.client6.address);
    const std::uint32_t header = packet.fragment_header ? 28 : 20;
    if (packet.dont_fragment && length_as_ipv6(packet) > mtu)
      return failure(
          Refusal{DropReason::kTooBig, {icmp4::kUnreachable, icmp4::kFragmentationNeeded, mtu - header}});
    // §4.1: without DF the way is not probed; packets are cut to what is sure to pass.
    const std::uint32_t limit = std::min(mtu, state_.runtime->nat64.lowest_ipv6_mtu);
    if (!packet.dont_fragment && length_as_ipv6(packet) > limit) fragment_to = limit;
  }
  DropReason why{};
  if (!four_to_six(buffer, packet, flow.six, state_.runtime->nat64, why)) return failure(Refusal{why});
  clamp_mss_of_syn(buffer, length_as_ipv6(packet) - packet.l4_length, packet, flow);
  if (fragment_to != 0) {
    const auto pieces =
        fragment_ipv6(buffer, fragment_to, static_cast<std::uint32_t>(packet.fragment_id), state_.extra);
    if (!pieces) return failure(Refusal{pieces.error().reason});
    state_.counters.of(Event::kFragmentsMade).add(*pieces);
  }
  release_those_behind(Side::kV4, packet, now);
  return Verdict::forward(Side::kV6);
}

void Translation::clamp_mss_of_syn(PacketBuffer& buffer, std::size_t l4_offset, const Parsed& packet,
                                   const Flow& flow) {
  if ((packet.tcp_flags & tcp_flag::kSyn) == 0 || !state_.runtime->nat64.mss_clamp) return;
  const std::uint32_t most = std::min(mtu6(flow.six.client6.address) - kIpv6Header - 20,
                                      std::max(mtu4(flow.four.server4.address), 576U) - kIpv4Header - 20);
  const auto limit = static_cast<std::uint16_t>(std::min<std::uint32_t>(most, 65535));
  if (clamp_mss(buffer.packet().subspan(l4_offset), limit)) state_.counters.of(Event::kMssClamped).add();
}

// §3.8: for another client. Translation writes over the packet, and its sender must be shown what it sent
// when the second half of the way refuses it: without Packet Too Big its path MTU would be a black hole.
Outcome Translation::send_to_client(PacketBuffer& buffer, const Parsed6& packet, const Flow& flow,
                                    TimePoint now) {
  const PacketBuffer sent = buffer;
  std::array<std::uint8_t, kQuote6> head;
  const auto quoted = std::min(buffer.length(), head.size());
  std::ranges::copy(buffer.packet().first(quoted), head.begin());
  six_to_four(buffer, packet, flow.four, state_.runtime->nat64, identification());
  clamp_mss_of_syn(buffer, kIpv4Header, packet, flow);
  auto verdict = hairpin(buffer, now);
  release_those_behind(Side::kV6, packet, now);
  if (verdict) return verdict;
  buffer = sent;
  std::ranges::copy(std::span{head}.first(quoted), buffer.packet().begin());
  return failure(as_ipv6(verdict.error()));
}

// The packet that just became IPv4 is for one of our own clients. A refusal is of IPv4.
Outcome Translation::hairpin(PacketBuffer& buffer, TimePoint now) {
  if (!state_.runtime->nat64.hairpinning) return failure(Refusal{DropReason::kHairpinDisabled});
  auto packet = parse_ipv4(buffer.packet());
  if (!packet) return failure(Refusal{packet.error().reason});
  auto verdict = packet->kind == Kind::kIcmpError ? error_from_v4(buffer, *packet, now)
                                                  : packet_from_v4(buffer, *packet, now);
  if (!verdict) return verdict;
  state_.counters.of(Event::kHairpinned).add();
  return verdict;
}

class Translator::Impl : public Translation {
 public:
  using Translation::Translation;
};

Translator::Translator(const TranslatorLimits& limits, HashKey key, std::uint64_t seed)
    : impl_(std::make_unique<Impl>(limits, key, seed)) {}
Translator::~Translator() = default;

void Translator::set_runtime(std::shared_ptr<const Runtime> runtime, TimePoint now) {
  impl_->state_.set_runtime(std::move(runtime), now);
}
void Translator::set_route_mtu(RouteMtu function, void* context) {
  impl_->set_route_mtu(function, context);
}
Verdict Translator::from_v6(PacketBuffer& packet, TimePoint now) {
  return impl_->from_v6(packet, now);
}
Verdict Translator::from_v4(PacketBuffer& packet, TimePoint now) {
  return impl_->from_v4(packet, now);
}
void Translator::translate(std::span<BurstPacket> burst, TimePoint now) {
  impl_->translate(burst, now);
}
bool Translator::expire(TimePoint now) {
  return impl_->expire(now);
}
void Translator::unreachable(Side out, std::span<const std::uint8_t> packet, Unreachable why, TimePoint now) {
  impl_->unreachable(out, packet, why, now);
}
const WorkerState& Translator::state() const {
  return impl_->state_;
}
Explanation Translator::explain(Side from, std::span<const std::uint8_t> packet, TimePoint now,
                                const FragmentNote& told) const {
  return impl_->explain(from, packet, now, told);
}
const Counters& Translator::counters() const {
  return impl_->state_.counters;
}
HandOverQueue& Translator::handed_over() {
  return impl_->state_.handed_over;
}
ExtraQueue& Translator::extra() {
  return impl_->state_.extra;
}
std::vector<EventRecord>& Translator::records() {
  return impl_->state_.records;
}

}  // namespace isthmus::nat64
