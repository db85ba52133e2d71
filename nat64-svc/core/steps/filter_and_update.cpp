// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/core/steps/filter_and_update.hpp"

#include "nat64-svc/core/steps/admit.hpp"

namespace isthmus::nat64 {
namespace {

bool opens(Protocol protocol, Side from, std::uint8_t tcp_flags) {
  if (protocol != Protocol::kTcp) return true;
  const auto event = tcp_event(from, tcp_flags);
  return event == TcpEvent::kV6Syn || event == TcpEvent::kV4Syn;
}

// A refusal meant for the IPv6 side, told to the IPv4 side.
Refusal as_ipv4(Refusal refusal) {
  if (!refusal.answer) return refusal;
  return {refusal.reason, {icmp4::kUnreachable, icmp4::kHostUnreachable, 0}};
}

}  // namespace

Refusal drained(Side from) {
  if (from == Side::kV6) return {DropReason::kDraining, {icmp6::kUnreachable, icmp6::kAddressUnreachable, 0}};
  return {DropReason::kDraining, {icmp4::kUnreachable, icmp4::kHostUnreachable, 0}};
}

Result<Flow, Refusal> open_flow(WorkerState& state, const Tuple6& tuple, std::uint8_t tcp_flags,
                                TimePoint now) {
  const auto server4 = admit(*state.runtime, tuple.client6.address, tuple.server6.address);
  if (!server4) return failure(server4.error());
  const TransportAddress4 peer{*server4, tuple.server6.port};
  auto bib = state.tables.find_bib(tuple.protocol, tuple.client6);
  const bool fresh = bib == kNone;  // and so without sessions
  const bool opening = opens(tuple.protocol, Side::kV6, tcp_flags);
  if (fresh) {
    // §3.5.2.2, CLOSED: anything but a SYN needs a binding.
    if (!opening) return failure(Refusal{DropReason::kTcpNotSyn});
    const auto made = state.make_bib(tuple.protocol, tuple.client6, peer, now);
    if (!made) return failure(made.error());
    bib = *made;
  }
  const Bib& b = state.tables.bibs()[bib];
  const Tuple4 four{tuple.protocol, {b.public4, b.port4}, peer};
  // The same conversation through another translation prefix: the latest one wins, or answers had two
  // sources.
  if (const auto known = fresh ? kNone : find_session(state, four, now); known != kNone) {
    state.tables.change_server6(known, tuple.server6.address);
    return touch(state, known, Side::kV6, tcp_flags, now);
  }
  if (state.is_drained(b.public4)) return failure(drained(Side::kV6));
  // §3.5.2.2, CLOSED: with a binding other segments pass, but make no session.
  if (!opening) return Flow{tuple, four, state.pool.is_active(peer.address)};
  // Simultaneous open: the held SYN was the other half, so this one completes V4 INIT -> ESTABLISHED.
  const bool both = tuple.protocol == Protocol::kTcp && state.held_syns.contains(four);
  const auto session =
      state.make_session(bib, tuple.server6, peer, both ? TcpState::kEstablished : TcpState::kV6Init, now);
  if (!session) return failure(session.error());
  if (both) {
    state.held_syns.forget(four);
    state.counters.of(Event::kSynReleased).add();
  }
  return flow_of(state.tables.sessions()[*session]);
}

Result<Flow, Refusal> open_flow(WorkerState& state, const Tuple4& tuple, std::uint8_t tcp_flags,
                                TimePoint now) {
  if (!state.pool.is_active(tuple.public4.address)) return failure(Refusal{DropReason::kNotOurAddress});
  const auto bib = state.tables.find_bib(tuple.protocol, tuple.public4);
  const bool opening = opens(tuple.protocol, Side::kV4, tcp_flags);
  if (bib == kNone) {
    if (tuple.protocol == Protocol::kTcp)
      return failure(Refusal{opening ? DropReason::kSynUnsolicited : DropReason::kTcpNotSyn});
    // §3.5.1.2: "host unreachable" for a port that leads nowhere.
    return failure(Refusal{DropReason::kNoMapping, {icmp4::kUnreachable, icmp4::kHostUnreachable, 0}});
  }
  const Bib b = state.tables.bibs()[bib];
  if (state.is_drained(b.public4)) return failure(drained(Side::kV4));
  const auto server6 = represent(*state.runtime, b.client6, tuple.server4.address);
  if (!server6) return failure(server6.error());
  // §3.5.1.2, §3.5.2.2: a peer that the client never spoke to is filtered; its SYN may be half of a
  // simultaneous open.
  if (state.runtime->nat64.filtering == Filtering::kAddressDependent && !b.is_static &&
      !state.tables.has_peer(bib, tuple.server4.address)) {
    if (tuple.protocol == Protocol::kTcp && opening) return failure(Refusal{DropReason::kSynUnsolicited});
    return failure(Refusal{DropReason::kFiltered, {icmp4::kUnreachable, icmp4::kProhibited, 0}});
  }
  const Tuple6 six{tuple.protocol, {b.client6, b.port6}, {*server6, tuple.server4.port}};
  if (!opening) return Flow{six, tuple, false};
  const auto session = state.make_session(bib, six.server6, tuple.server4, TcpState::kV4Init, now);
  if (!session) return failure(as_ipv4(session.error()));
  return flow_of(state.tables.sessions()[*session]);
}

Result<Flow, Refusal> find_flow(WorkerState& state, const Tuple6& tuple, TimePoint now) {
  const auto number = find_session(state, tuple, now);
  if (number == kNone) return failure(Refusal{DropReason::kIcmpErrorNoSession});
  return flow_of(state.tables.sessions()[number]);
}

Result<Flow, Refusal> find_flow(WorkerState& state, const Tuple4& tuple, TimePoint now) {
  const auto number = find_session(state, tuple, now);
  if (number == kNone) return failure(Refusal{DropReason::kIcmpErrorNoSession});
  return flow_of(state.tables.sessions()[number]);
}

}  // namespace isthmus::nat64
