// SPDX-License-Identifier: Apache-2.0
// The TCP state machine of RFC 6146 §3.5.2.2: a pure table. CLOSED is the absence of a session; V6 INIT and
// V4 INIT are entered when one is made.
#pragma once

#include <cstdint>

#include "common/base/enum_names.hpp"
#include "nat64-svc/core/packet/parsed.hpp"
#include "nat64-svc/core/verdict.hpp"

namespace isthmus::nat64 {

enum class TcpState : std::uint8_t {
  kV4Init,
  kV6Init,
  kEstablished,
  kV4FinRcv,
  kV6FinRcv,
  kV4FinV6FinRcv,
  kTrans,
  kCount
};
inline constexpr EnumNames<TcpState> kTcpStateNames{
    {"v4_init", "v6_init", "established", "v4_fin_rcv", "v6_fin_rcv", "v4_fin_v6_fin_rcv", "trans"}};

enum class TcpEvent : std::uint8_t {
  kV4Syn,
  kV6Syn,
  kV4Fin,
  kV6Fin,
  kV4Rst,
  kV6Rst,
  kV4Other,
  kV6Other,
  kCount
};

struct TcpStep {
  TcpState state;
  bool refresh;  // set the lifetime anew to that of `state`
  constexpr bool operator==(const TcpStep&) const = default;
};

// RST before SYN before FIN: a segment has one meaning.
[[nodiscard]] constexpr TcpEvent tcp_event(Side from, std::uint8_t flags) {
  const bool v6 = from == Side::kV6;
  if ((flags & tcp_flag::kRst) != 0) return v6 ? TcpEvent::kV6Rst : TcpEvent::kV4Rst;
  if ((flags & tcp_flag::kSyn) != 0) return v6 ? TcpEvent::kV6Syn : TcpEvent::kV4Syn;
  if ((flags & tcp_flag::kFin) != 0) return v6 ? TcpEvent::kV6Fin : TcpEvent::kV4Fin;
  return v6 ? TcpEvent::kV6Other : TcpEvent::kV4Other;
}

[[nodiscard]] constexpr TcpStep next(TcpState state, TcpEvent event) {
  const TcpStep keep{state, false};
  switch (state) {
    case TcpState::kV4Init:
      return event == TcpEvent::kV6Syn ? TcpStep{TcpState::kEstablished, true} : keep;
    case TcpState::kV6Init:
      if (event == TcpEvent::kV4Syn) return {TcpState::kEstablished, true};
      return event == TcpEvent::kV6Syn ? TcpStep{state, true} : keep;
    case TcpState::kEstablished:
      if (event == TcpEvent::kV4Fin) return {TcpState::kV4FinRcv, true};
      if (event == TcpEvent::kV6Fin) return {TcpState::kV6FinRcv, true};
      if (event == TcpEvent::kV4Rst || event == TcpEvent::kV6Rst) return {TcpState::kTrans, true};
      return {state, true};
    case TcpState::kV4FinRcv:
      return {event == TcpEvent::kV6Fin ? TcpState::kV4FinV6FinRcv : state, true};
    case TcpState::kV6FinRcv:
      return {event == TcpEvent::kV4Fin ? TcpState::kV4FinV6FinRcv : state, true};
    case TcpState::kV4FinV6FinRcv:
      return keep;  // only its end of life changes it
    case TcpState::kTrans:
      if (event == TcpEvent::kV4Rst || event == TcpEvent::kV6Rst) return keep;
      return {TcpState::kEstablished, true};
    case TcpState::kCount:
      break;
  }
  return keep;
}

}  // namespace isthmus::nat64
