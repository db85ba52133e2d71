// SPDX-License-Identifier: Apache-2.0
// The map of RFC 6146: parse, determine the incoming tuple (§3.4), filter and update (§3.5), compute the
// outgoing tuple (§3.6), translate (RFC 7915), hairpin (§3.8). Each step's details are one jump away.
#include "nat64-svc/core/translator.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <type_traits>

#include "common/rfc6052/embed.hpp"
#include "nat64-svc/core/explain.hpp"
#include "nat64-svc/core/owners.hpp"
#include "nat64-svc/core/packet/parse.hpp"
#include "nat64-svc/core/packet/peek.hpp"
#include "nat64-svc/core/rfc7915/four_to_six.hpp"
#include "nat64-svc/core/rfc7915/fragment.hpp"
#include "nat64-svc/core/rfc7915/icmp_errors.hpp"
#include "nat64-svc/core/rfc7915/mss_clamp.hpp"
#include "nat64-svc/core/rfc7915/six_to_four.hpp"
#include "nat64-svc/core/steps/determine_incoming_tuple.hpp"
#include "nat64-svc/core/steps/filter_and_update.hpp"

namespace isthmus::nat64 {

class Translator::Impl {
 public:
  Impl(const TranslatorLimits& limits, HashKey key, std::uint64_t seed) : state_(limits, key, seed) {}

  // In three passes, so that no packet waits for memory: the slots of the index are fetched, then the
  // sessions, and when their turn comes both are there. Only the third pass decides anything.
  void translate(std::span<BurstPacket> burst, TimePoint now) {
    constexpr std::size_t kAhead = 32;
    std::array<std::uint64_t, kAhead> hashes;
    std::array<std::uint32_t, kAhead> hints;
    while (!burst.empty()) {
      const auto some = burst.first(std::min(burst.size(), kAhead));
      burst = burst.subspan(some.size());
      for (std::size_t i = 0; i < some.size(); ++i) hashes[i] = prefetch(some[i]);
      for (std::size_t i = 0; i < some.size(); ++i)
        hints[i] = hashes[i] == 0 ? kNone : state_.tables.candidate(some[i].from, hashes[i]);
      for (std::size_t i = 0; i < some.size(); ++i) {
        auto& p = some[i];
        p.verdict =
            p.from == Side::kV6 ? from_v6(p.packet, now, hints[i]) : from_v4(p.packet, now, hints[i], p.note);
      }
    }
  }

  // `hint`: the number of the session that the packet likely belongs to, or kNone.
  Verdict from_v6(PacketBuffer& buffer, TimePoint now, std::uint32_t hint = kNone) {
    const std::size_t length = count_received(Side::kV6, buffer);
    if (!state_.runtime) return drop(Side::kV6, DropReason::kNotReady);
    auto packet = parse_ipv6(buffer.packet());
    if (!packet) [[unlikely]]
      return refuse(Side::kV6, buffer, packet.error(), now);
    auto verdict = packet->kind == Kind::kIcmpError ? error_from_v6(buffer, *packet, now)
                                                    : packet_from_v6(buffer, *packet, now, hint);
    if (!verdict) return refuse(Side::kV6, buffer, verdict.error(), now);
    count_translated(Side::kV6, packet->protocol, *verdict, length);
    return *verdict;
  }

  Verdict from_v4(PacketBuffer& buffer, TimePoint now, std::uint32_t hint = kNone,
                  const FragmentNote& told = {}) {
    const std::size_t length = count_received(Side::kV4, buffer);
    if (!state_.runtime) return drop(Side::kV4, DropReason::kNotReady);
    auto packet = parse_ipv4(buffer.packet());
    if (!packet) [[unlikely]]
      return refuse(Side::kV4, buffer, packet.error(), now);
    auto verdict = packet->kind == Kind::kIcmpError ? error_from_v4(buffer, *packet, now)
                                                    : packet_from_v4(buffer, *packet, now, hint, told);
    if (!verdict) return refuse(Side::kV4, buffer, verdict.error(), now);
    count_translated(Side::kV4, packet->protocol, *verdict, length);
    return *verdict;
  }

  void set_route_mtu(RouteMtu function, void* context) {
    route_mtu_ = function;
    route_mtu_context_ = context;
  }

  [[nodiscard]] Explanation explain(Side from, std::span<const std::uint8_t> packet) const {
    return nat64::explain(
        state_,
        {[this](const Ipv6Address& to) { return mtu6(to); }, [this](Ipv4Address to) { return mtu4(to); }},
        from, packet);
  }

  WorkerState state_;

 private:
  using Outcome = Result<Verdict, Refusal>;

  // The hash of the packet's tuple, whose slot in the index is on its way; 0: a packet of a rare kind.
  [[nodiscard]] std::uint64_t prefetch(const BurstPacket& p) const {
    if (p.from == Side::kV6) {
      const auto tuple = peek_ipv6(p.packet.packet());
      return tuple ? state_.tables.prefetch(*tuple) : 0;
    }
    const auto tuple = peek_ipv4(p.packet.packet());
    return tuple ? state_.tables.prefetch(*tuple) : 0;
  }

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

  template <class P>
  static void complete(P& packet, const FragmentNote& note) {
    if (packet.has_l4_header()) {
      if (packet.protocol == Protocol::kIcmp) packet.l4_claimed = note.length;
      return;
    }
    packet.kind = Kind::kTransport;
    packet.source_port = note.source_port;
    packet.destination_port = note.destination_port;
  }

  // §3.4: a later fragment needs the ports that the first one has; the first one of an echo needs the length
  // that the last one has, for the ICMPv6 checksum covers it. Held until then; nothing: it goes on, complete.
  template <class P>
  [[nodiscard]] std::optional<Outcome> wait_for_others(Side side, const PacketBuffer& buffer, P& packet,
                                                       TimePoint now) {
    const auto key = key_of(packet);
    const bool first = packet.has_l4_header();
    const bool echo = packet.protocol == Protocol::kIcmp;
    if (echo && !packet.more_fragments) {
      const auto length = static_cast<std::uint16_t>(packet.fragment_offset + packet.l4_length);
      if (!fragments(side).learn_length(
              key, length, now + state_.runtime->nat64.timeouts.fragment,
              [&](std::span<const std::uint8_t> bytes) { release(side, bytes, now); }))
        return failure(Refusal{DropReason::kFragmentTable});
    }
    const auto note = fragments(side).note(key);
    if (first ? echo && note.length == 0 : !note.has_ports) return hold(side, buffer, key, first, now);
    complete(packet, note);
    return std::nullopt;
  }

  Outcome hold(Side side, const PacketBuffer& buffer, const FragmentKey& key, bool first, TimePoint now) {
    auto& table = fragments(side);
    if (table.held() >= state_.runtime->nat64.max_held_fragments)
      return failure(Refusal{DropReason::kFragmentTable});
    if (!table.hold(key, first, buffer.packet(), now + state_.runtime->nat64.timeouts.fragment))
      return failure(Refusal{DropReason::kFragmentTable});
    state_.counters.of(Event::kFragmentHeld).add();
    state_.counters.of(side).held_packets.add();
    return Verdict::held();
  }

  // The first fragment has passed: those that came before it follow, beside the verdict.
  template <class P>
  void release_those_behind(Side side, const P& packet, TimePoint now) {
    if (!packet.more_fragments || !packet.has_l4_header()) [[likely]]
      return;
    if constexpr (std::is_same_v<P, Parsed4>) {
      if (!is_me(owner_of_fragment(packet))) return;  // they wait elsewhere
    }
    const FragmentNote note{true, packet.source_port, packet.destination_port, 0};
    fragments(side).learn_ports(key_of(packet), note, now + state_.runtime->nat64.timeouts.fragment,
                                [&](std::span<const std::uint8_t> bytes) { release(side, bytes, now); });
  }

  // A fragment that was held: it goes where it would have gone, beside the verdict of the one that freed it.
  void release(Side side, std::span<const std::uint8_t> bytes, TimePoint now) {
    std::array<std::uint8_t, kTranslationHeadroom + FragmentTable::kMaxHeld> frame;
    std::ranges::copy(bytes, frame.begin() + kTranslationHeadroom);
    PacketBuffer buffer{frame, kTranslationHeadroom, bytes.size()};
    const Outcome verdict = side == Side::kV6 ? released<Parsed6>(buffer, parse_ipv6(bytes), now)
                                              : released<Parsed4>(buffer, parse_ipv4(bytes), now);
    if (!verdict) {
      drop(side, verdict.error().reason);
      return;
    }
    const bool room =
        verdict->sends() ? state_.extra.add(verdict->out, buffer.packet())
        : verdict->action == Verdict::Action::kHandOver
            ? state_.handed_over.add(verdict->owner, verdict->out, verdict->note, buffer.packet())
            : true;
    if (!room)
      drop(side, DropReason::kNoRoom);
    else
      state_.counters.of(Event::kFragmentReleased).add();
  }

  template <class P>
  Outcome released(PacketBuffer& buffer, Result<P, Refusal> packet, TimePoint now) {
    if (!packet) return failure(packet.error());
    if constexpr (std::is_same_v<P, Parsed6>)
      return packet_from_v6(buffer, *packet, now);
    else
      return packet_from_v4(buffer, *packet, now);
  }

  // §3.5.2.2: answered later, unless the client opens the same connection.
  Outcome hold_syn(const PacketBuffer& buffer, const Tuple4& tuple, TimePoint now) {
    if (!state_.held_syns.hold(tuple, buffer.packet(), now + state_.runtime->nat64.timeouts.tcp_incoming_syn))
      return failure(Refusal{DropReason::kSynQueueFull});
    state_.counters.of(Event::kSynHeld).add();
    state_.counters.of(Side::kV4).held_packets.add();
    return Verdict::held();
  }

  Outcome packet_from_v6(PacketBuffer& buffer, Parsed6& packet, TimePoint now, std::uint32_t hint = kNone) {
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

  Outcome send_as_ipv4(PacketBuffer& buffer, const Parsed6& packet, const Flow& flow, TimePoint now) {
    if (length_as_ipv4(packet) > 576) {
      const std::uint32_t mtu = mtu4(flow.four.server4.address);
      if (length_as_ipv4(packet) > mtu) {
        const std::uint32_t told = std::max<std::uint32_t>(1280, mtu + 20);
        return failure(Refusal{DropReason::kTooBig, {icmp6::kPacketTooBig, 0, told}});
      }
    }
    six_to_four(buffer, packet, flow.four, state_.runtime->nat64, identification());
    clamp_mss_of_syn(buffer, kIpv4Header, packet, flow);
    const Outcome verdict = flow.hairpin ? hairpin(buffer, now) : Outcome{Verdict::forward(Side::kV4)};
    release_those_behind(Side::kV6, packet, now);
    return verdict;
  }

  Outcome packet_from_v4(PacketBuffer& buffer, Parsed4& packet, TimePoint now, std::uint32_t hint = kNone,
                         const FragmentNote& told = {}) {
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

  // The fragments of one packet meet at one worker. Once the ports are known, each goes to their owner, who
  // is told what is known.
  Outcome fragment_from_v4(PacketBuffer& buffer, Parsed4& packet, TimePoint now, const FragmentNote& told) {
    if (told.has_ports) {
      complete(packet, told);
    } else {
      if (const auto meeting = owner_of_fragment(packet); !is_me(meeting))
        return hand_over(Side::kV4, meeting);
      if (auto waits = wait_for_others(Side::kV4, buffer, packet, now)) return *waits;
    }
    const Tuple4 tuple = incoming_tuple(packet);
    if (const auto owner = public4_owner(*state_.runtime, tuple.protocol, tuple.public4);
        !told.has_ports && !is_me(owner)) {
      Verdict verdict = hand_over(Side::kV4, owner);
      verdict.note = {true, packet.source_port, packet.destination_port, packet.l4_claimed};
      release_those_behind(Side::kV4, packet, now);
      return verdict;
    }
    const auto session = find_session(state_, tuple, now);
    if (session != kNone)
      return send_as_ipv6(buffer, packet, touch(state_, session, Side::kV4, packet.tcp_flags, now), now);
    return open_from_v4(buffer, packet, tuple, now);
  }

  Outcome open_from_v4(PacketBuffer& buffer, const Parsed4& packet, const Tuple4& tuple, TimePoint now) {
    const auto flow = open_flow(state_, tuple, packet.tcp_flags, now);
    if (!flow && flow.error().reason == DropReason::kSynUnsolicited) return hold_syn(buffer, tuple, now);
    if (!flow) return failure(flow.error());
    return send_as_ipv6(buffer, packet, *flow, now);
  }

  Outcome send_as_ipv6(PacketBuffer& buffer, const Parsed4& packet, const Flow& flow, TimePoint now) {
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
    if (auto done = four_to_six(buffer, packet, flow.six, state_.runtime->nat64); !done)
      return failure(done.error());
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

  void clamp_mss_of_syn(PacketBuffer& buffer, std::size_t l4_offset, const Parsed& packet, const Flow& flow) {
    if ((packet.tcp_flags & tcp_flag::kSyn) == 0 || !state_.runtime->nat64.mss_clamp) return;
    const std::uint32_t most = std::min(mtu6(flow.six.client6.address) - kIpv6Header - 20,
                                        std::max(mtu4(flow.four.server4.address), 576U) - kIpv4Header - 20);
    const auto limit = static_cast<std::uint16_t>(std::min<std::uint32_t>(most, 65535));
    if (clamp_mss(buffer.packet().subspan(l4_offset), limit)) state_.counters.of(Event::kMssClamped).add();
  }

  // §3.8: the packet that just became IPv4 is for one of our own clients.
  Outcome hairpin(PacketBuffer& buffer, TimePoint now) {
    if (!state_.runtime->nat64.hairpinning) return failure(Refusal{DropReason::kHairpinDisabled});
    auto packet = parse_ipv4(buffer.packet());
    // It cannot be answered any more: the IPv6 packet it came from is gone.
    if (!packet) return failure(Refusal{packet.error().reason});
    auto verdict = packet->kind == Kind::kIcmpError ? error_from_v4(buffer, *packet, now)
                                                    : packet_from_v4(buffer, *packet, now);
    if (!verdict) return failure(Refusal{verdict.error().reason});
    state_.counters.of(Event::kHairpinned).add();
    return verdict;
  }

  Outcome error_from_v6(PacketBuffer& buffer, const Parsed6& outer, TimePoint now) {
    if (outer.hop_limit <= 1) return failure(Refusal{DropReason::kHopLimit});
    const auto inner = parse_inside(buffer.packet(), outer);
    if (!inner) return failure(inner.error());
    const Tuple6 tuple = tuple_inside(*inner);
    if (const auto owner = client_owner(*state_.runtime, tuple.client6.address); !is_me(owner))
      return hand_over(Side::kV6, owner);
    const auto flow = find_flow(state_, tuple, now);
    if (!flow) return failure(flow.error());
    // A router on the client's side has no IPv4 address: the client's public one stands for it.
    const auto done = icmp_error_six_to_four(buffer, outer, *inner, flow->four.public4.address,
                                             flow->four.server4.address, flow->four, state_.runtime->nat64,
                                             {mtu6(outer.source), mtu4(flow->four.server4.address)});
    if (!done) return failure(done.error());
    state_.counters.of(Event::kIcmpErrorTranslated).add();
    return flow->hairpin ? hairpin(buffer, now) : Outcome{Verdict::forward(Side::kV4)};
  }

  Outcome error_from_v4(PacketBuffer& buffer, const Parsed4& outer, TimePoint now) {
    if (!state_.pool.contains(outer.destination)) return failure(Refusal{DropReason::kNotOurAddress});
    if (outer.hop_limit <= 1) return failure(Refusal{DropReason::kHopLimit});
    const auto inner = parse_inside(buffer.packet(), outer);
    if (!inner) return failure(inner.error());
    const Tuple4 tuple = tuple_inside(*inner);
    if (const auto owner = public4_owner(*state_.runtime, tuple.protocol, tuple.public4); !is_me(owner))
      return hand_over(Side::kV4, owner);
    const auto flow = find_flow(state_, tuple, now);
    if (!flow) return failure(flow.error());
    const auto done = icmp_error_four_to_six(
        buffer, outer, *inner, seen_as(outer.source, flow->six.server6.address), flow->six.client6.address,
        flow->six, state_.runtime->nat64, {mtu6(flow->six.client6.address), mtu4(outer.source)});
    if (!done) return failure(done.error());
    state_.counters.of(Event::kIcmpErrorTranslated).add();
    return Verdict::forward(Side::kV6);
  }

  // The IPv4 router that sent an error, under the prefix that the client uses.
  [[nodiscard]] Ipv6Address seen_as(Ipv4Address router, const Ipv6Address& server6) const {
    for (const auto& p : state_.runtime->prefixes) {
      if (!p.prefix.contains(server6)) continue;
      const auto pref64 = p.embed_length == 96 ? Pref64::make(Ipv6Prefix{server6, 96}) : p.own;
      if (pref64) return embed(*pref64, router);
    }
    return server6;
  }

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

  Verdict drop(Side side, DropReason reason) {
    state_.counters.of(side).dropped[static_cast<std::size_t>(reason)].add();
    return Verdict::drop(reason);
  }

  Verdict refuse(Side side, PacketBuffer& buffer, const Refusal& refusal, TimePoint now) {
    if (!refusal.answer) return drop(side, refusal.reason);
    const bool v6 = side == Side::kV6;
    if (!(v6 ? may_answer_ipv6(buffer.packet(), refusal.icmp) : may_answer_ipv4(buffer.packet()))) {
      state_.counters.of(Event::kIcmpErrorForbidden).add();
      return drop(side, refusal.reason);
    }
    if (!state_.icmp_limit.take(now, state_.runtime->nat64.icmp_errors_per_second)) {
      state_.counters.of(Event::kIcmpErrorLimited).add();
      return drop(side, refusal.reason);
    }
    const bool made = v6 ? make_reply_ipv6(buffer, refusal.icmp, *state_.runtime)
                         : make_reply_ipv4(buffer, refusal.icmp, *state_.runtime);
    if (!made) return drop(side, DropReason::kNoRoom);
    state_.counters.of(side).replied[static_cast<std::size_t>(refusal.reason)].add();
    return Verdict::reply(side, refusal.reason);
  }

  std::uint64_t identifications_ = 0;
  RouteMtu route_mtu_ = nullptr;
  void* route_mtu_context_ = nullptr;
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
  return impl_->state_.expire(now);
}
const WorkerState& Translator::state() const {
  return impl_->state_;
}
Explanation Translator::explain(Side from, std::span<const std::uint8_t> packet) const {
  return impl_->explain(from, packet);
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
