// SPDX-License-Identifier: Apache-2.0
// RFC 6146 §3.5 and §3.6: find or make binding and session for a tuple, let the packet act on it, and give
// the tuple of the other side.
#pragma once

#include "nat64-svc/core/worker_state.hpp"

namespace isthmus::nat64 {

// Both sides of one packet's conversation.
struct Flow {
  Tuple6 six;
  Tuple4 four;
  bool hairpin = false;  // server4 is one of our own addresses (§3.8)
};

[[nodiscard]] inline Flow flow_of(const Session& s) {
  return {s.tuple6(), s.tuple4(), s.hairpin()};
}

// A session for the tuple that today's policy allows, or kNone. `hint` as in SessionTables::find().
template <class Tuple>
[[nodiscard]] std::uint32_t find_session(WorkerState& state, const Tuple& tuple, TimePoint now,
                                         std::uint32_t hint = kNone) {
  const auto number = state.tables.find(tuple, hint);
  if (number == kNone || state.tables.sessions()[number].generation == state.generation) return number;
  return state.revalidate(number, now) ? number : kNone;
}

// The packet acts on its session: the TCP machine steps, the lifetime starts anew.
[[nodiscard]] inline Flow touch(WorkerState& state, std::uint32_t number, Side from, std::uint8_t tcp_flags,
                                TimePoint now) {
  Session& session = state.tables.sessions()[number];
  if (session.protocol() == Protocol::kTcp)
    state.apply(session, number, next(session.state(), tcp_event(from, tcp_flags)), now);
  else
    WorkerState::see(session, now);
  return flow_of(session);
}

// For a tuple without a session.
// Refusals: those of admit() and WorkerState::make_*; kTcpNotSyn, kDraining.
[[nodiscard]] Result<Flow, Refusal> open_flow(WorkerState& state, const Tuple6& tuple, std::uint8_t tcp_flags,
                                              TimePoint now);
// Refusals: kNotOurAddress, kNoMapping, kFiltered, kTcpNotSyn, kSynUnsolicited, kDraining, those of
// represent() and WorkerState::make_session().
[[nodiscard]] Result<Flow, Refusal> open_flow(WorkerState& state, const Tuple4& tuple, std::uint8_t tcp_flags,
                                              TimePoint now);

// Of a mapping whose address is past its withdrawal, in the words of the side that its packet came from.
[[nodiscard]] Refusal drained(Side from);

// The conversation that the packet inside an ICMP error belongs to. Errors change no state (RFC 5508 REQ-5).
// Refusal: kIcmpErrorNoSession.
[[nodiscard]] Result<Flow, Refusal> find_flow(WorkerState& state, const Tuple6& tuple, TimePoint now);
[[nodiscard]] Result<Flow, Refusal> find_flow(WorkerState& state, const Tuple4& tuple, TimePoint now);

}  // namespace isthmus::nat64
