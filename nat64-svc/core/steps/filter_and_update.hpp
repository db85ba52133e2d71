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

// Refusals: those of admit() and WorkerState::make_*; kTcpNotSyn.
[[nodiscard]] Result<Flow, Refusal> filter_and_update(WorkerState& state, const Tuple6& tuple,
                                                      std::uint8_t tcp_flags, TimePoint now);
// Refusals: kNotOurAddress, kNoMapping, kFiltered, kTcpNotSyn, kSynUnsolicited, those of represent() and
// WorkerState::make_session().
[[nodiscard]] Result<Flow, Refusal> filter_and_update(WorkerState& state, const Tuple4& tuple,
                                                      std::uint8_t tcp_flags, TimePoint now);

// The conversation that the packet inside an ICMP error belongs to. Errors change no state (RFC 5508 REQ-5).
// Refusal: kIcmpErrorNoSession.
[[nodiscard]] Result<Flow, Refusal> find_flow(WorkerState& state, const Tuple6& tuple, TimePoint now);
[[nodiscard]] Result<Flow, Refusal> find_flow(WorkerState& state, const Tuple4& tuple, TimePoint now);

}  // namespace isthmus::nat64
