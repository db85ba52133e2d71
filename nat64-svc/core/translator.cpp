// SPDX-License-Identifier: Apache-2.0
// The map of RFC 6146: parse, determine the incoming tuple (§3.4), filter and update (§3.5), compute the
// outgoing tuple (§3.6), translate (RFC 7915), hairpin (§3.8). Each step's details are one jump away.
#include "nat64-svc/core/translator.hpp"

#include <algorithm>
#include <array>
#include <type_traits>

#include "common/rfc6052/embed.hpp"
#include "nat64-svc/core/explain.hpp"
#include "nat64-svc/core/packet/parse.hpp"
#include "nat64-svc/core/rfc7915/four_to_six.hpp"
#include "nat64-svc/core/rfc7915/fragment.hpp"
#include "nat64-svc/core/rfc7915/icmp_errors.hpp"
#include "nat64-svc/core/rfc7915/mss_clamp.hpp"
#include "nat64-svc/core/rfc7915/six_to_four.hpp"
#include "nat64-svc/core/slices.hpp"
#include "nat64-svc/core/steps/determine_incoming_tuple.hpp"
#include "nat64-svc/core/steps/filter_and_update.hpp"

namespace isthmus::nat64 {

class Translator::Impl {
 public:
  Impl(const TranslatorLimits& limits, HashKey key, std::uint64_t seed) : state_(limits, key, seed) {}

  Verdict from_v6(PacketBuffer& buffer, TimePoint now) {
    const std::size_t length = count_received(Side::kV6, buffer);
    if (!state_.runtime) return drop(Side::kV6, DropReason::kNotReady);
    const auto packet = parse_ipv6(buffer.packet());
    if (!packet) return refuse(Side::kV6, buffer, packet.error(), now);
    auto verdict = packet->kind == Kind::kIcmpError ? error_from_v6(buffer, *packet, now)
                                                    : packet_from_v6(buffer, *packet, now);
    if (!verdict) return refuse(Side::kV6, buffer, verdict.error(), now);
    count_translated(Side::kV6, packet->protocol, *verdict, length);
    return *verdict;
  }

  Verdict from_v4(PacketBuffer& buffer, TimePoint now) {
    const std::size_t length = count_received(Side::kV4, buffer);
    if (!state_.runtime) return drop(Side::kV4, DropReason::kNotReady);
    const auto packet = parse_ipv4(buffer.packet());
    if (!packet) return refuse(Side::kV4, buffer, packet.error(), now);
    auto verdict = packet->kind == Kind::kIcmpError ? error_from_v4(buffer, *packet, now)
                                                    : packet_from_v4(buffer, *packet, now);
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

  static FragmentKey key_of(const Parsed6& p) {
    return {p.source, p.destination, p.fragment_id, ip_protocol4(p.protocol)};
  }
  static FragmentKey key_of(const Parsed4& p) {
    return {Ipv6Address::from_halves(0, p.source.value()), Ipv6Address::from_halves(0, p.destination.value()),
            p.fragment_id, ip_protocol4(p.protocol)};
  }

  // §3.4: a later fragment gets the ports that the first one had, or waits for it.
  template <class P>
  [[nodiscard]] bool complete_ports(FragmentTable& table, P& packet) {
    const auto ports = table.ports(key_of(packet));
    if (!ports) return false;
    packet.kind = Kind::kTransport;
    packet.source_port = ports->source;
    packet.destination_port = ports->destination;
    return true;
  }

  Outcome hold(Side side, const PacketBuffer& buffer, const FragmentKey& key, TimePoint now) {
    auto& table = state_.fragments[static_cast<std::size_t>(side)];
    if (table.held() >= state_.runtime->nat64.max_held_fragments)
      return failure(Refusal{DropReason::kFragmentTable});
    if (!table.hold(key, buffer.packet(), now + state_.runtime->nat64.timeouts.fragment))
      return failure(Refusal{DropReason::kFragmentTable});
    state_.counters.of(Event::kFragmentHeld).add();
    state_.counters.of(side).held_packets.add();
    return Verdict::held();
  }

  // §3.5.2.2: answered later, unless the client opens the same connection.
  Outcome hold_syn(const PacketBuffer& buffer, const Tuple4& tuple, TimePoint now) {
    if (!state_.held_syns.hold(tuple, buffer.packet(), now + state_.runtime->nat64.timeouts.tcp_incoming_syn))
      return failure(Refusal{DropReason::kSynQueueFull});
    state_.counters.of(Event::kSynHeld).add();
    state_.counters.of(Side::kV4).held_packets.add();
    return Verdict::held();
  }

  // The first fragment has passed: those that came before it follow, beside the verdict.
  void release_later_fragments(Side side, const FragmentKey& key, Ports ports, TimePoint now) {
    auto& table = state_.fragments[static_cast<std::size_t>(side)];
    table.learn(
        key, ports, now + state_.runtime->nat64.timeouts.fragment, [&](std::span<const std::uint8_t> bytes) {
          std::array<std::uint8_t, kTranslationHeadroom + FragmentTable::kMaxHeld> frame;
          std::ranges::copy(bytes, frame.begin() + kTranslationHeadroom);
          PacketBuffer buffer{frame, kTranslationHeadroom, bytes.size()};
          const Outcome verdict = side == Side::kV6 ? released<Parsed6>(buffer, parse_ipv6(bytes), now)
                                                    : released<Parsed4>(buffer, parse_ipv4(bytes), now);
          if (!verdict)
            drop(side, verdict.error().reason);
          else if (verdict->sends() && !state_.extra.add(verdict->out, buffer.packet()))
            drop(side, DropReason::kNoRoom);
          else
            state_.counters.of(Event::kFragmentReleased).add();
        });
  }

  template <class P>
  Outcome released(PacketBuffer& buffer, const Result<P, Refusal>& packet, TimePoint now) {
    if (!packet) return failure(packet.error());
    if constexpr (std::is_same_v<P, Parsed6>)
      return packet_from_v6(buffer, *packet, now);
    else
      return packet_from_v4(buffer, *packet, now);
  }

  Outcome packet_from_v6(PacketBuffer& buffer, Parsed6 packet, TimePoint now) {
    // RFC 7915 §5.1: as a router; before any state is made.
    if (packet.hop_limit <= 1) return failure(Refusal{DropReason::kHopLimit, {icmp6::kTimeExceeded, 0, 0}});
    if (const auto owner = client_owner(*state_.runtime, packet.source);
        owner != state_.runtime->options.worker)
      return hand_over(Side::kV6, owner);
    if (packet.kind == Kind::kLaterFragment && !complete_ports(state_.fragments[0], packet))
      return hold(Side::kV6, buffer, key_of(packet), now);
    const auto flow = filter_and_update(state_, incoming_tuple(packet), packet.tcp_flags, now);
    if (!flow) return failure(flow.error());
    if (length_as_ipv4(packet) > 576) {
      const std::uint32_t mtu = mtu4(flow->four.server4.address);
      if (length_as_ipv4(packet) > mtu) {
        const std::uint32_t told = std::max<std::uint32_t>(1280, mtu + 20);
        return failure(Refusal{DropReason::kTooBig, {icmp6::kPacketTooBig, 0, told}});
      }
    }
    six_to_four(buffer, packet, flow->four, state_.runtime->nat64, identification());
    clamp_mss_of_syn(buffer, kIpv4Header, packet, *flow);
    const Outcome verdict = flow->hairpin ? hairpin(buffer, now) : Outcome{Verdict::forward(Side::kV4)};
    if (packet.more_fragments && packet.has_l4_header()) [[unlikely]]
      release_later_fragments(Side::kV6, key_of(packet), {packet.source_port, packet.destination_port}, now);
    return verdict;
  }

  Outcome packet_from_v4(PacketBuffer& buffer, Parsed4 packet, TimePoint now) {
    // Not for us, so not ours to answer.
    if (!state_.pool.contains(packet.destination)) return failure(Refusal{DropReason::kNotOurAddress});
    if (packet.hop_limit <= 1) return failure(Refusal{DropReason::kHopLimit, {icmp4::kTimeExceeded, 0, 0}});
    if (packet.kind == Kind::kLaterFragment && !complete_ports(state_.fragments[1], packet))
      return hold(Side::kV4, buffer, key_of(packet), now);
    const Tuple4 tuple = incoming_tuple(packet);
    if (const auto owner = owner_of(tuple.protocol, tuple.public4); owner != state_.runtime->options.worker)
      return hand_over(Side::kV4, owner);
    const auto flow = filter_and_update(state_, tuple, packet.tcp_flags, now);
    if (!flow && flow.error().reason == DropReason::kSynUnsolicited) return hold_syn(buffer, tuple, now);
    if (!flow) return failure(flow.error());
    std::uint32_t fragment_to = 0;
    if (length_as_ipv6(packet) > 1280) {
      const std::uint32_t mtu = mtu6(flow->six.client6.address);
      const std::uint32_t header = packet.fragment_header ? 28 : 20;
      if (packet.dont_fragment && length_as_ipv6(packet) > mtu)
        return failure(
            Refusal{DropReason::kTooBig, {icmp4::kUnreachable, icmp4::kFragmentationNeeded, mtu - header}});
      // §4.1: without DF the way is not probed; packets are cut to what is sure to pass.
      const std::uint32_t limit = std::min(mtu, state_.runtime->nat64.lowest_ipv6_mtu);
      if (!packet.dont_fragment && length_as_ipv6(packet) > limit) fragment_to = limit;
    }
    if (auto done = four_to_six(buffer, packet, flow->six, state_.runtime->nat64); !done)
      return failure(done.error());
    clamp_mss_of_syn(buffer, length_as_ipv6(packet) - packet.l4_length, packet, *flow);
    if (fragment_to != 0) {
      const auto pieces =
          fragment_ipv6(buffer, fragment_to, static_cast<std::uint32_t>(packet.fragment_id), state_.extra);
      if (!pieces) return failure(Refusal{pieces.error().reason});
      state_.counters.of(Event::kFragmentsMade).add(*pieces);
    }
    if (packet.more_fragments && packet.has_l4_header()) [[unlikely]]
      release_later_fragments(Side::kV4, key_of(packet), {packet.source_port, packet.destination_port}, now);
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
    const auto packet = parse_ipv4(buffer.packet());
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
    if (const auto owner = client_owner(*state_.runtime, tuple.client6.address);
        owner != state_.runtime->options.worker)
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
    if (const auto owner = owner_of(tuple.protocol, tuple.public4); owner != state_.runtime->options.worker)
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

  [[nodiscard]] std::uint16_t owner_of(Protocol protocol, const TransportAddress4& public4) const {
    return public4_owner(*state_.runtime, protocol, public4);
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

  // RFC 6864: needed only when DF is clear; unpredictable all the same.
  [[nodiscard]] std::uint16_t identification() { return static_cast<std::uint16_t>(state_.random()); }

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
void Translator::expire(TimePoint now) {
  impl_->state_.expire(now);
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
ExtraQueue& Translator::extra() {
  return impl_->state_.extra;
}
std::vector<EventRecord>& Translator::records() {
  return impl_->state_.records;
}

}  // namespace isthmus::nat64
