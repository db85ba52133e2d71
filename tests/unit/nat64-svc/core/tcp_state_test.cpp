// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/core/tcp_state.hpp"

#include <gtest/gtest.h>

namespace isthmus::nat64 {
namespace {

using S = TcpState;
constexpr TcpStep stay(S s) {
  return {s, false};
}
constexpr TcpStep go(S s) {
  return {s, true};
}

// RFC 6146 §3.5.2.2, whole: a row per state, a column per event in the order of TcpEvent.
constexpr std::array<std::array<TcpStep, kEnumSize<TcpEvent>>, kEnumSize<TcpState>> kTable{{
    // V4 SYN, V6 SYN, V4 FIN, V6 FIN, V4 RST, V6 RST, V4 other, V6 other
    {stay(S::kV4Init), go(S::kEstablished), stay(S::kV4Init), stay(S::kV4Init), stay(S::kV4Init),
     stay(S::kV4Init), stay(S::kV4Init), stay(S::kV4Init)},
    {go(S::kEstablished), go(S::kV6Init), stay(S::kV6Init), stay(S::kV6Init), stay(S::kV6Init),
     stay(S::kV6Init), stay(S::kV6Init), stay(S::kV6Init)},
    {go(S::kEstablished), go(S::kEstablished), go(S::kV4FinRcv), go(S::kV6FinRcv), go(S::kTrans),
     go(S::kTrans), go(S::kEstablished), go(S::kEstablished)},
    {go(S::kV4FinRcv), go(S::kV4FinRcv), go(S::kV4FinRcv), go(S::kV4FinV6FinRcv), go(S::kV4FinRcv),
     go(S::kV4FinRcv), go(S::kV4FinRcv), go(S::kV4FinRcv)},
    {go(S::kV6FinRcv), go(S::kV6FinRcv), go(S::kV4FinV6FinRcv), go(S::kV6FinRcv), go(S::kV6FinRcv),
     go(S::kV6FinRcv), go(S::kV6FinRcv), go(S::kV6FinRcv)},
    {stay(S::kV4FinV6FinRcv), stay(S::kV4FinV6FinRcv), stay(S::kV4FinV6FinRcv), stay(S::kV4FinV6FinRcv),
     stay(S::kV4FinV6FinRcv), stay(S::kV4FinV6FinRcv), stay(S::kV4FinV6FinRcv), stay(S::kV4FinV6FinRcv)},
    {go(S::kEstablished), go(S::kEstablished), go(S::kEstablished), go(S::kEstablished), stay(S::kTrans),
     stay(S::kTrans), go(S::kEstablished), go(S::kEstablished)},
}};

TEST(TcpState, FollowsTheWholeTable) {
  for (std::size_t s = 0; s < kTable.size(); ++s) {
    for (std::size_t e = 0; e < kTable[s].size(); ++e)
      EXPECT_EQ(next(static_cast<S>(s), static_cast<TcpEvent>(e)), kTable[s][e])
          << kTcpStateNames[static_cast<S>(s)] << " on event " << e;
  }
}

TEST(TcpEvent, ResetCountsBeforeSynAndSynBeforeFin) {
  EXPECT_EQ(tcp_event(Side::kV6, tcp_flag::kRst | tcp_flag::kSyn | tcp_flag::kFin), TcpEvent::kV6Rst);
  EXPECT_EQ(tcp_event(Side::kV4, tcp_flag::kSyn | tcp_flag::kFin), TcpEvent::kV4Syn);
  EXPECT_EQ(tcp_event(Side::kV4, tcp_flag::kFin | tcp_flag::kAck), TcpEvent::kV4Fin);
  EXPECT_EQ(tcp_event(Side::kV6, tcp_flag::kAck), TcpEvent::kV6Other);
}

TEST(TcpEvent, EcnBitsDoNotHideASyn) {
  EXPECT_EQ(tcp_event(Side::kV6, tcp_flag::kSyn | 0xc0), TcpEvent::kV6Syn);
}

}  // namespace
}  // namespace isthmus::nat64
