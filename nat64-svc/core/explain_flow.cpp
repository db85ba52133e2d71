// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/core/explain_flow.hpp"

#include "nat64-svc/core/steps/admit.hpp"
#include "nat64-svc/core/steps/filter_and_update.hpp"

namespace isthmus::nat64 {

std::string described(Protocol protocol) {
  return std::string(kProtocolNames[static_cast<std::size_t>(protocol)]);
}
std::string described(const Tuple6& t) {
  return described(t.protocol) + " client " + t.client6.to_string() + " server " + t.server6.to_string();
}
std::string described(const Tuple4& t) {
  return described(t.protocol) + " public " + t.public4.to_string() + " server " + t.server4.to_string();
}

namespace {

bool opens(Protocol protocol, Side from, std::uint8_t tcp_flags) {
  if (protocol != Protocol::kTcp) return true;
  const auto event = tcp_event(from, tcp_flags);
  return event == TcpEvent::kV6Syn || event == TcpEvent::kV4Syn;
}

}  // namespace

// A session that today's policy forbids ends when its packet comes, and its BIB entry with it when it was
// the last.
template <class Tuple>
std::uint32_t ExplainedFlow::surviving(std::uint32_t bib, const Tuple& tuple) const {
  if (bib == kNone || state_.tables.find(tuple) == kNone) return bib;
  const Bib& b = state_.tables.bibs()[bib];
  return b.sessions == 1 && !b.is_static ? kNone : bib;
}

Flow ExplainedFlow::touched(std::uint32_t number, Side from, std::uint8_t tcp_flags) {
  const Session& s = state_.tables.sessions()[number];
  std::string outcome = "an established conversation";
  if (s.protocol() == Protocol::kTcp) {
    const auto step = next(s.state(), tcp_event(from, tcp_flags));
    outcome = "state " + std::string(kTcpStateNames[s.state()]) + " -> " +
              std::string(kTcpStateNames[step.state]) + (step.refresh ? ", lifetime set anew" : "");
  }
  steps_.pass(s.protocol() == Protocol::kTcp ? "RFC 6146 §3.5.2" : "RFC 6146 §3.5.1", "find the session",
              std::move(outcome));
  return {s.tuple6(), s.tuple4(), state_.pool.is_active(s.server4)};
}

Result<Flow, Refusal> ExplainedFlow::from_v6(const Tuple6& tuple, std::uint8_t tcp_flags) {
  if (const auto number = session(tuple); number != kNone) return touched(number, Side::kV6, tcp_flags);
  const auto server4 = admit(*state_.runtime, tuple.client6.address, tuple.server6.address);
  if (!server4) return steps_.stop("RFC 6146 §3.5", "may this client reach this server", server4.error());
  steps_.pass("RFC 6052 §2.3", "take the IPv4 address out of the destination", server4->to_string());
  const auto bib = surviving(state_.tables.find_bib(tuple.protocol, tuple.client6), tuple);
  const bool opening = opens(tuple.protocol, Side::kV6, tcp_flags);
  Tuple4 four{tuple.protocol, {}, {*server4, tuple.server6.port}};
  if (bib == kNone) {
    if (!opening)
      return steps_.stop("RFC 6146 §3.5.2.2", "CLOSED: is it a SYN", Refusal{DropReason::kTcpNotSyn});
    if (const auto refusal = state_.would_refuse_bib(tuple.protocol, tuple.client6, now_))
      return steps_.stop("RFC 6146 §3.5.1.1", "make a BIB entry", *refusal);
    steps_.pass("RFC 6146 §3.5.1.1", "make a BIB entry",
                "a new one, with a random port of the subscriber's blocks");
  } else {
    const Bib& b = state_.tables.bibs()[bib];
    four.public4 = {b.public4, b.port4};
    steps_.pass("RFC 6146 §3.5.1.1", "find the BIB entry",
                four.public4.to_string() + (b.is_static ? ", static" : ""));
    if (const auto known = session(four); known != kNone) {
      auto flow = touched(known, Side::kV6, tcp_flags);
      flow.six = tuple;
      return flow;
    }
  }
  if (bib != kNone && state_.is_drained(four.public4.address))
    return steps_.stop("policy", "is the pool address past its withdrawal", drained(Side::kV6));
  const bool hairpin = state_.pool.is_active(*server4);
  if (!opening) {
    steps_.pass("RFC 6146 §3.5.2.2", "CLOSED: is it a SYN",
                "no; it passes by the mapping and makes no session");
    return Flow{tuple, four, hairpin};
  }
  if (const auto refusal = state_.would_refuse_session(bib, tuple.client6, now_))
    return steps_.stop("RFC 6146 §3.5", "make a session", *refusal);
  steps_.pass("RFC 6146 §3.5", "make a session", "a new one");
  return Flow{tuple, four, hairpin};
}

Result<Flow, Refusal> ExplainedFlow::from_v4(const Tuple4& tuple, std::uint8_t tcp_flags) {
  if (const auto number = session(tuple); number != kNone) return touched(number, Side::kV4, tcp_flags);
  if (!state_.pool.is_active(tuple.public4.address))
    return steps_.stop("RFC 6146 §2", "is the pool address in use", Refusal{DropReason::kNotOurAddress});
  const auto bib = surviving(state_.tables.find_bib(tuple.protocol, tuple.public4), tuple);
  const bool opening = opens(tuple.protocol, Side::kV4, tcp_flags);
  if (bib == kNone) {
    if (tuple.protocol == Protocol::kTcp)
      return steps_.stop("RFC 6146 §3.5.2.2", "CLOSED: find the BIB entry",
                         Refusal{opening ? DropReason::kSynUnsolicited : DropReason::kTcpNotSyn});
    return steps_.stop("RFC 6146 §3.5.1.2", "find the BIB entry",
                       Refusal{DropReason::kNoMapping, {icmp4::kUnreachable, icmp4::kHostUnreachable, 0}});
  }
  const Bib& b = state_.tables.bibs()[bib];
  const TransportAddress6 client6{b.client6, b.port6};
  steps_.pass("RFC 6146 §3.5.1.2", "find the BIB entry",
              client6.to_string() + (b.is_static ? ", static" : ""));
  if (state_.is_drained(b.public4))
    return steps_.stop("policy", "is the pool address past its withdrawal", drained(Side::kV4));
  const auto server6 = represent(*state_.runtime, b.client6, tuple.server4.address);
  if (!server6)
    return steps_.stop("RFC 6052 §2.3", "embed the server's address in a prefix", server6.error());
  steps_.pass("RFC 6052 §2.3", "embed the server's address in a prefix", server6->to_string());
  if (policy_.filtering == Filtering::kAddressDependent && !b.is_static &&
      !state_.tables.has_peer(bib, tuple.server4.address)) {
    if (tuple.protocol == Protocol::kTcp && opening)
      return steps_.stop("RFC 6146 §3.5.2.2", "address-dependent filtering",
                         Refusal{DropReason::kSynUnsolicited});
    return steps_.stop("RFC 6146 §3.5.1.2", "address-dependent filtering",
                       Refusal{DropReason::kFiltered, {icmp4::kUnreachable, icmp4::kProhibited, 0}});
  }
  const Tuple6 six{tuple.protocol, client6, {*server6, tuple.server4.port}};
  if (!opening) {
    steps_.pass("RFC 6146 §3.5.2.2", "CLOSED: is it a SYN",
                "no; it passes by the mapping and makes no session");
    return Flow{six, tuple, false};
  }
  if (auto refusal = state_.would_refuse_session(bib, client6, now_)) {
    // Told to the IPv4 side in its own words.
    if (refusal->answer) *refusal = {refusal->reason, {icmp4::kUnreachable, icmp4::kHostUnreachable, 0}};
    return steps_.stop("RFC 6146 §3.5", "make a session", *refusal);
  }
  steps_.pass("RFC 6146 §3.5", "make a session", "a new one");
  return Flow{six, tuple, false};
}

}  // namespace isthmus::nat64
