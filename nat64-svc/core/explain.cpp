// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/core/explain.hpp"

#include <algorithm>

#include "nat64-svc/core/explain_flow.hpp"
#include "nat64-svc/core/owners.hpp"
#include "nat64-svc/core/packet/parse.hpp"
#include "nat64-svc/core/rfc7915/four_to_six.hpp"
#include "nat64-svc/core/rfc7915/fragmented_udp.hpp"
#include "nat64-svc/core/rfc7915/icmp_tables.hpp"
#include "nat64-svc/core/rfc7915/six_to_four.hpp"
#include "nat64-svc/core/steps/admit.hpp"
#include "nat64-svc/core/steps/determine_incoming_tuple.hpp"
#include "nat64-svc/core/steps/translate_error.hpp"

namespace isthmus::nat64 {
namespace {

FragmentKey key_of(const Parsed6& p) {
  return {p.source, p.destination, p.fragment_id, ip_protocol4(p.protocol)};
}
FragmentKey key_of(const Parsed4& p) {
  return {Ipv6Address::from_halves(0, p.source.value()), Ipv6Address::from_halves(0, p.destination.value()),
          p.fragment_id, ip_protocol4(p.protocol)};
}

class Explainer {
 public:
  Explainer(const WorkerState& state, const MtuOfWay& mtu, TimePoint now, const FragmentNote& told)
      : state_(state), mtu_(mtu), policy_(state.runtime->nat64), told_(told), flows_(state, now, steps_) {}

  Explanation run(Side from, std::span<const std::uint8_t> bytes) {
    const auto verdict = from == Side::kV6 ? from_v6(bytes) : from_v4(bytes);
    out_.verdict = verdict ? *verdict : refused(from, bytes, verdict.error());
    out_.steps = std::move(steps_.all());
    return std::move(out_);
  }

 private:
  using Outcome = Result<Verdict, Refusal>;

  void pass(std::string_view section, std::string_view name, std::string outcome) {
    steps_.pass(section, name, std::move(outcome));
  }
  [[nodiscard]] auto stop(std::string_view section, std::string_view name, Refusal why) {
    return steps_.stop(section, name, why);
  }

  Verdict refused(Side side, std::span<const std::uint8_t> bytes, const Refusal& refusal) {
    if (!refusal.answer) return Verdict::drop(refusal.reason);
    const bool v6 = side == Side::kV6;
    if (v6 && comes_from_a_prefix(*state_.runtime, bytes)) {
      steps_.all().push_back({"RFC 6146 §3.5", "answer with an ICMP error", false,
                              "what comes from inside a translation prefix is dropped in silence"});
      return Verdict::drop(refusal.reason);
    }
    if (!(v6 ? may_answer_ipv6(bytes, refusal.icmp) : may_answer_ipv4(bytes))) {
      steps_.all().push_back({v6 ? "RFC 4443 §2.4 (e)" : "RFC 1122 §3.2.2", "answer with an ICMP error",
                              false, "this packet must not be answered"});
      return Verdict::drop(refusal.reason);
    }
    out_.answer = refusal.icmp;
    pass(v6 ? "RFC 4443 §2.4 (f)" : "RFC 1812 §4.3.2.8", "answer with an ICMP error",
         "type " + std::to_string(refusal.icmp.type) + " code " + std::to_string(refusal.icmp.code) +
             ", if the limit of " + std::to_string(policy_.icmp_errors_per_second) + " a second allows it");
    return Verdict::reply(side, refusal.reason);
  }

  Outcome from_v6(std::span<const std::uint8_t> bytes) {
    const auto packet = parse_ipv6(bytes);
    if (!packet) return stop("RFC 7915 §5.1", "read the IPv6 packet", packet.error());
    pass("RFC 7915 §5.1", "read the IPv6 packet", about(*packet));
    return packet->kind == Kind::kIcmpError ? error(Side::kV6, bytes, *packet)
                                            : packet_from_v6(bytes, *packet);
  }

  Outcome from_v4(std::span<const std::uint8_t> bytes) {
    const auto packet = parse_ipv4(bytes);
    if (!packet) return stop("RFC 7915 §4.1", "read the IPv4 packet", packet.error());
    pass("RFC 7915 §4.1", "read the IPv4 packet", about(*packet));
    if (!state_.pool.contains(packet->destination))
      return stop("RFC 6146 §2", "is it for a pool address", Refusal{DropReason::kNotOurAddress});
    return packet->kind == Kind::kIcmpError ? error(Side::kV4, bytes, *packet)
                                            : packet_from_v4(bytes, *packet);
  }

  template <class P>
  static std::string about(const P& packet) {
    std::string out = described(packet.protocol) + " from " + packet.source.to_string() + " to " +
                      packet.destination.to_string() + ", hop limit " + std::to_string(packet.hop_limit);
    if (packet.kind == Kind::kIcmpError) out += ", an ICMP error";
    if (packet.is_fragment()) out += ", a fragment";
    return out;
  }

  // §3.4, fragments: true when all that the others tell is known now: the ports, of an echo the length as
  // well.
  template <class P>
  Result<bool, Refusal> completed(Side side, P& packet, std::span<const std::uint8_t> bytes) {
    if (!packet.is_fragment()) return true;
    const auto& table = state_.fragments[static_cast<std::size_t>(side)];
    auto note = told_.has_ports ? told_ : table.note(key_of(packet));
    const bool first = packet.has_l4_header();
    const bool echo = packet.protocol == Protocol::kIcmp;
    if (echo && !packet.more_fragments)
      note.length = static_cast<std::uint16_t>(packet.fragment_offset + packet.l4_length);
    const bool lacks = !first ? !note.has_ports
                       : echo ? note.length == 0
                              : !told_.has_ports && lacks_checksum(bytes, packet, policy_);
    if (lacks) {
      if (policy_.max_held_fragments == 0 || !table.may_hold(key_of(packet), first, bytes.size()))
        return stop("RFC 6146 §3.4", "find what the other fragments tell",
                    Refusal{DropReason::kFragmentTable});
      pass("RFC 6146 §3.4", "find what the other fragments tell",
           !first ? "it is held until its first fragment comes"
           : echo ? "it is held until the last fragment comes: the checksum covers the length"
                  : "it is held until all fragments have come: it lacks the checksum that IPv6 demands");
      return false;
    }
    if (first) {
      if (echo) packet.l4_claimed = note.length;
    } else {
      packet.kind = Kind::kTransport;
      packet.source_port = note.source_port;
      packet.destination_port = note.destination_port;
    }
    pass("RFC 6146 §3.4", "find what the other fragments tell", "nothing is missing");
    return true;
  }

  Outcome hand_over(Side side, std::uint16_t owner) {
    pass("policy", "who owns it", "worker " + std::to_string(owner) + ", which gets it");
    Verdict verdict = Verdict::hand_over(owner);
    verdict.out = side;
    return verdict;
  }

  Outcome packet_from_v6(std::span<const std::uint8_t> bytes, Parsed6 packet) {
    if (packet.hop_limit <= 1)
      return stop("RFC 7915 §5.1", "count down the hop limit",
                  Refusal{DropReason::kHopLimit, {icmp6::kTimeExceeded, 0, 0}});
    const auto& runtime = *state_.runtime;
    if (const auto owner = client_owner(runtime, packet.source); owner != runtime.options.worker)
      return hand_over(Side::kV6, owner);
    const auto ready = completed(Side::kV6, packet, bytes);
    if (!ready) return failure(ready.error());
    if (!*ready) return Verdict::held();
    const Tuple6 tuple = incoming_tuple(packet);
    pass("RFC 6146 §3.4", "determine the incoming tuple", described(tuple));
    const auto flow = flows_.from_v6(tuple, packet.tcp_flags);
    if (!flow) return failure(flow.error());
    pass("RFC 6146 §3.6", "compute the outgoing tuple", described(flow->four));
    const std::uint32_t length = length_as_ipv4(packet);
    if (const std::uint32_t mtu = mtu_.four(flow->four.server4.address); length > 576 && length > mtu) {
      const std::uint32_t told = std::max<std::uint32_t>(1280, mtu + 20);
      if (packet.total_length() > told)
        return stop("RFC 7915 §5", "does it fit the way to the server",
                    Refusal{DropReason::kTooBig, {icmp6::kPacketTooBig, 0, told}});
      pass("RFC 7915 §5.1", "does it fit the way to the server",
           "not whole: it leaves in fragments of at most " + std::to_string(mtu));
    }
    PacketBuffer buffer = copy_of(bytes);
    six_to_four(buffer, packet, flow->four, policy_, 0);
    pass("RFC 7915 §5.1", "translate to IPv4", std::to_string(buffer.length()) + " bytes");
    keep(buffer);
    if (!flow->hairpin) return Verdict::forward(Side::kV4);
    auto verdict = hairpin(buffer);
    if (!verdict) return failure(as_ipv6(verdict.error()));
    return verdict;
  }

  Outcome hairpin(const PacketBuffer& buffer) {
    if (!policy_.hairpinning)
      return stop("RFC 6146 §3.8", "hairpin to another client", Refusal{DropReason::kHairpinDisabled});
    pass("RFC 6146 §3.8", "hairpin to another client",
         "server4 is one of our own addresses: once more from IPv4");
    const std::vector<std::uint8_t> bytes(buffer.packet().begin(), buffer.packet().end());
    return from_v4(bytes);
  }

  Outcome packet_from_v4(std::span<const std::uint8_t> bytes, Parsed4 packet) {
    if (packet.hop_limit <= 1)
      return stop("RFC 7915 §4.1", "count down the TTL",
                  Refusal{DropReason::kHopLimit, {icmp4::kTimeExceeded, 0, 0}});
    if (packet.is_fragment() && !told_.has_ports) {
      const auto meeting =
          fragment_owner(*state_.runtime, packet.source, packet.destination, packet.fragment_id);
      if (meeting != state_.runtime->options.worker) return hand_over(Side::kV4, meeting);
    }
    const auto ready = completed(Side::kV4, packet, bytes);
    if (!ready) return failure(ready.error());
    if (!*ready) return Verdict::held();
    const Tuple4 tuple = incoming_tuple(packet);
    pass("RFC 6146 §3.4", "determine the incoming tuple", described(tuple));
    if (const auto owner = owner_of(tuple); owner != state_.runtime->options.worker) {
      auto verdict = hand_over(Side::kV4, owner);
      if (packet.is_fragment())
        verdict->note = {true, packet.source_port, packet.destination_port, packet.l4_claimed};
      return verdict;
    }
    const auto flow = flows_.from_v4(tuple, packet.tcp_flags);
    if (!flow && flow.error().reason == DropReason::kSynUnsolicited) {
      pass("RFC 6146 §3.5.2.2", "hold the unsolicited SYN",
           "answered after tcp_incoming_syn, unless the client opens the same connection");
      return Verdict::held();
    }
    if (!flow) return failure(flow.error());
    pass("RFC 6146 §3.6", "compute the outgoing tuple", described(flow->six));
    const std::uint32_t length = length_as_ipv6(packet);
    const std::uint32_t mtu = mtu_.six(flow->six.client6.address);
    if (length > 1280 && packet.dont_fragment && length > mtu) {
      const std::uint32_t header = packet.fragment_header ? 28 : 20;
      return stop(
          "RFC 7915 §4", "does it fit the way to the client",
          Refusal{DropReason::kTooBig, {icmp4::kUnreachable, icmp4::kFragmentationNeeded, mtu - header}});
    }
    PacketBuffer buffer = copy_of(bytes);
    DropReason why{};
    if (!four_to_six(buffer, packet, flow->six, policy_, why))
      return stop("RFC 7915 §4.1", "translate to IPv6", Refusal{why});
    const std::uint32_t limit = std::min(mtu, policy_.lowest_ipv6_mtu);
    pass("RFC 7915 §4.1", "translate to IPv6",
         std::to_string(buffer.length()) + " bytes" +
             (!packet.dont_fragment && length > 1280 && length > limit
                  ? ", in fragments of at most " + std::to_string(limit)
                  : ""));
    keep(buffer);
    return Verdict::forward(Side::kV6);
  }

  template <class P>
  Outcome error(Side side, std::span<const std::uint8_t> bytes, const P& outer) {
    if constexpr (std::is_same_v<P, Parsed6>) {
      if (is_in_a_prefix(*state_.runtime, outer.source))
        return stop("RFC 6146 §3.5", "look at its source", Refusal{DropReason::kSourceInPrefix});
    }
    if (outer.hop_limit <= 1)
      return stop("RFC 7915 §4.1, §5.1", "count down the hop limit", Refusal{DropReason::kHopLimit});
    const auto inner = parse_inside(bytes, outer);
    if (!inner) return stop("RFC 5508 REQ-3", "read the packet inside the error", inner.error());
    const auto tuple = tuple_inside(*inner);
    pass("RFC 6146 §3.4", "determine the tuple of the packet inside", described(tuple));
    const auto owner = owner_of(tuple);
    if (owner != state_.runtime->options.worker) return hand_over(side, owner);
    const auto number = flows_.session(tuple);
    if (number == kNone)
      return stop("RFC 6146 §3.5", "find its session", Refusal{DropReason::kIcmpErrorNoSession});
    pass("RFC 6146 §3.5", "find its session",
         "there is one; an error changes nothing in it (RFC 5508 REQ-5)");
    const Session& s = state_.tables.sessions()[number];
    return error_of(side, bytes, outer, *inner, {s.tuple6(), s.tuple4(), state_.pool.is_active(s.server4)});
  }

  template <class P>
  Outcome error_of(Side side, std::span<const std::uint8_t> bytes, const P& outer, const P& inner,
                   const Flow& flow) {
    PacketBuffer buffer = copy_of(bytes);
    const auto translated = [&] {
      if constexpr (std::is_same_v<P, Parsed6>)
        return translate_error(*state_.runtime, buffer, outer, inner, flow, mtus(outer, flow), 0);
      else
        return translate_error(*state_.runtime, buffer, outer, inner, flow, mtus(outer, flow));
    };
    if (auto done = translated(); !done)
      return stop("RFC 7915 §4.2, §5.2", "translate the error and the packet inside", done.error());
    pass("RFC 7915 §4.2, §5.2", "translate the error and the packet inside",
         std::to_string(buffer.length()) + " bytes");
    keep(buffer);
    if (side == Side::kV4 || !flow.hairpin) return Verdict::forward(other(side));
    auto verdict = hairpin(buffer);
    if (!verdict) return failure(Refusal{verdict.error().reason});  // an error is not answered
    return verdict;
  }

  [[nodiscard]] PathMtu mtus(const Parsed6& outer, const Flow& flow) const {
    return {mtu_.six(outer.source), mtu_.four(flow.four.server4.address)};
  }
  [[nodiscard]] PathMtu mtus(const Parsed4& outer, const Flow& flow) const {
    return {mtu_.six(flow.six.client6.address), mtu_.four(outer.source)};
  }

  [[nodiscard]] std::uint16_t owner_of(const Tuple6& tuple) const {
    return client_owner(*state_.runtime, tuple.client6.address);
  }
  [[nodiscard]] std::uint16_t owner_of(const Tuple4& tuple) const {
    return public4_owner(*state_.runtime, tuple.protocol, tuple.public4);
  }

  PacketBuffer copy_of(std::span<const std::uint8_t> bytes) {
    scratch_.assign(kTranslationHeadroom + bytes.size() + kTranslationHeadroom, 0);
    std::ranges::copy(bytes, scratch_.begin() + kTranslationHeadroom);
    return {scratch_, kTranslationHeadroom, bytes.size()};
  }
  void keep(const PacketBuffer& buffer) {
    out_.packet.assign(buffer.packet().begin(), buffer.packet().end());
  }

  const WorkerState& state_;
  const MtuOfWay& mtu_;
  const Nat64Policy& policy_;
  const FragmentNote told_;  // by the worker that handed the packet over
  ExplainedSteps steps_;
  ExplainedFlow flows_;
  Explanation out_;
  std::vector<std::uint8_t> scratch_;
};

}  // namespace

Explanation explain(const WorkerState& state, const MtuOfWay& mtu, Side from,
                    std::span<const std::uint8_t> packet, TimePoint now, const FragmentNote& told) {
  if (!state.runtime) {
    Explanation out;
    out.steps.push_back(
        {"policy", "is there a policy", false, std::string(kDropReasonNames[DropReason::kNotReady])});
    out.verdict = Verdict::drop(DropReason::kNotReady);
    return out;
  }
  return Explainer{state, mtu, now, told}.run(from, packet);
}

}  // namespace isthmus::nat64
