// SPDX-License-Identifier: Apache-2.0
// ICMP errors: those of others, which pass with the packet inside them translated (RFC 6146 §3.5.3, RFC 7915
// §4.2 and §5.2), and those that we answer with.
#include "nat64-svc/core/icmp_reply.hpp"
#include "nat64-svc/core/owners.hpp"
#include "nat64-svc/core/packet/parse.hpp"
#include "nat64-svc/core/steps/admit.hpp"
#include "nat64-svc/core/steps/determine_incoming_tuple.hpp"
#include "nat64-svc/core/steps/translate_error.hpp"
#include "nat64-svc/core/translation.hpp"

namespace isthmus::nat64 {
namespace {

constexpr std::size_t kMaxOwnError = 1280;  // RFC 4443 §2.4(c)

std::uint8_t code4(Unreachable why) {
  switch (why) {
    case Unreachable::kNoRoute:
      return icmp4::kNetUnreachable;
    case Unreachable::kProhibited:
      return icmp4::kProhibited;
    case Unreachable::kRoute:
    case Unreachable::kNeighbour:
      break;
  }
  return icmp4::kHostUnreachable;
}

std::uint8_t code6(Unreachable why) {
  switch (why) {
    case Unreachable::kNoRoute:
    case Unreachable::kRoute:
      return icmp6::kNoRoute;
    case Unreachable::kProhibited:
      return icmp6::kProhibited;
    case Unreachable::kNeighbour:
      break;
  }
  return icmp6::kAddressUnreachable;
}

}  // namespace

// From outside; errors of our own may come from the very address in a prefix that was asked.
Outcome Translation::error_from_client(PacketBuffer& buffer, const Parsed6& outer, TimePoint now) {
  // RFC 6146 §3.5, as for any packet.
  if (is_in_a_prefix(*state_.runtime, outer.source)) return failure(Refusal{DropReason::kSourceInPrefix});
  return error_from_v6(buffer, outer, now);
}

Outcome Translation::error_from_v6(PacketBuffer& buffer, const Parsed6& outer, TimePoint now) {
  if (outer.hop_limit <= 1) return failure(Refusal{DropReason::kHopLimit});
  const auto inner = parse_inside(buffer.packet(), outer);
  if (!inner) return failure(inner.error());
  const Tuple6 tuple = tuple_inside(*inner);
  if (const auto owner = client_owner(*state_.runtime, tuple.client6.address); !is_me(owner))
    return hand_over(Side::kV6, owner);
  const auto flow = find_flow(state_, tuple, now);
  if (!flow) return failure(flow.error());
  const auto done = translate_error(*state_.runtime, buffer, outer, *inner, *flow,
                                    {mtu6(outer.source), mtu4(flow->four.server4.address)}, identification());
  if (!done) return failure(done.error());
  state_.counters.of(Event::kIcmpErrorTranslated).add();
  if (!flow->hairpin) return Verdict::forward(Side::kV4);
  auto verdict = hairpin(buffer, now);
  if (!verdict) return failure(Refusal{verdict.error().reason});  // an error is not answered
  return verdict;
}

Outcome Translation::error_from_v4(PacketBuffer& buffer, const Parsed4& outer, TimePoint now) {
  if (!state_.pool.contains(outer.destination)) return failure(Refusal{DropReason::kNotOurAddress});
  if (outer.hop_limit <= 1) return failure(Refusal{DropReason::kHopLimit});
  const auto inner = parse_inside(buffer.packet(), outer);
  if (!inner) return failure(inner.error());
  const Tuple4 tuple = tuple_inside(*inner);
  if (const auto owner = public4_owner(*state_.runtime, tuple.protocol, tuple.public4); !is_me(owner))
    return hand_over(Side::kV4, owner);
  const auto flow = find_flow(state_, tuple, now);
  if (!flow) return failure(flow.error());
  const auto done = translate_error(*state_.runtime, buffer, outer, *inner, *flow,
                                    {mtu6(flow->six.client6.address), mtu4(outer.source)});
  if (!done) return failure(done.error());
  state_.counters.of(Event::kIcmpErrorTranslated).add();
  return Verdict::forward(Side::kV6);
}

// One of ours about a packet that was translated already: it comes in as the next router's would, and is
// translated to whoever sent the packet.
void Translation::take_own_error(Side side, std::span<const std::uint8_t> bytes, TimePoint now) {
  std::array<std::uint8_t, kTranslationHeadroom + kMaxOwnError> frame;
  if (bytes.size() > kMaxOwnError) return;
  std::ranges::copy(bytes, frame.begin() + kTranslationHeadroom);
  PacketBuffer buffer{frame, kTranslationHeadroom, bytes.size()};
  const auto taken = [&]() -> Outcome {
    if (side == Side::kV6) {
      const auto error = parse_ipv6(bytes);
      return error ? error_from_v6(buffer, *error, now) : Outcome{failure(error.error())};
    }
    const auto error = parse_ipv4(bytes);
    return error ? error_from_v4(buffer, *error, now) : Outcome{failure(error.error())};
  };
  // One that leads nowhere counts nowhere: it was never received.
  if (const auto outcome = taken()) send_beside(side, bytes, outcome, buffer);
}

// RFC 1812 §5.2.7.1, RFC 4443 §3.1, RFC 4861 §7.2.2: a router says so when it cannot send a packet on.
// The codes are those of Linux.
void Translation::unreachable(Side out, std::span<const std::uint8_t> packet, Unreachable why,
                              TimePoint now) {
  if (!state_.runtime) return;
  const bool v6 = out == Side::kV6;
  const IcmpError error =
      v6 ? IcmpError{icmp6::kUnreachable, code6(why), 0} : IcmpError{icmp4::kUnreachable, code4(why), 0};
  if (!state_.may_answer(out, packet, error, now)) return;
  std::array<std::uint8_t, kTranslationHeadroom + kMaxOwnError> frame;
  const auto quoted = packet.first(std::min(packet.size(), kMaxOwnError));
  std::ranges::copy(quoted, frame.begin() + kTranslationHeadroom);
  PacketBuffer buffer{frame, kTranslationHeadroom, quoted.size()};
  const bool made = v6 ? make_reply_ipv6(buffer, error, *state_.runtime)
                       : make_reply_ipv4(buffer, error, *state_.runtime, identification());
  // The packet is counted by whoever could not send it; here, that its sender is not told.
  if (!made || !state_.own_errors.add(out, buffer.packet()))
    state_.counters.of(Event::kIcmpErrorLimited).add();
}

bool Translation::expire(TimePoint now) {
  const bool more = state_.expire(now);
  state_.own_errors.drain(
      [&](Side side, std::span<const std::uint8_t> error) { take_own_error(side, error, now); });
  return more;
}

Verdict Translation::refuse(Side side, PacketBuffer& buffer, const Refusal& refusal, TimePoint now) {
  const bool v6 = side == Side::kV6;
  const auto packet = buffer.packet();
  const bool in_silence = v6 && comes_from_a_prefix(*state_.runtime, packet);  // RFC 6146 §3.5
  if (!refusal.answer || in_silence || !state_.may_answer(side, packet, refusal.icmp, now))
    return drop(side, packet, refusal.reason);
  const auto protocol = protocol_seen(packet);
  const bool made = v6 ? make_reply_ipv6(buffer, refusal.icmp, *state_.runtime)
                       : make_reply_ipv4(buffer, refusal.icmp, *state_.runtime, identification());
  if (!made) return drop(side, buffer.packet(), DropReason::kNoRoom);
  auto verdict = Verdict::reply(side, refusal.reason);
  if (!v6 && state_.pool.contains(Ipv4Address::load(&buffer.packet()[16]))) {
    // The second half of a hairpin that began at another worker: its sender is a client, not on the wire.
    if (!state_.own_errors.add(side, buffer.packet())) {
      state_.counters.of(side).drop(protocol, DropReason::kNoRoom).add();
      return Verdict::drop(DropReason::kNoRoom);
    }
    verdict = Verdict::held();
  }
  state_.counters.of(side).reply(protocol, refusal.reason).add();
  return verdict;
}

}  // namespace isthmus::nat64
