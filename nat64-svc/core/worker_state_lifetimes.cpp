// SPDX-License-Identifier: Apache-2.0
// How long a session lives, and what is done when a time is over: sessions, held SYNs, held fragments.
#include <algorithm>
#include <array>
#include <utility>

#include "nat64-svc/core/tcp_probe.hpp"
#include "nat64-svc/core/worker_state.hpp"

namespace isthmus::nat64 {
namespace {

// At most this much per call, so that no packet waits long; more when sessions were made since the last call,
// so that ends keep up with beginnings. The longest call took 0.4 ms, with a million sessions.
constexpr std::uint32_t kExpirePerCall = 64;
constexpr std::uint32_t kExpireAtMost = 256;
constexpr std::uint32_t kSweepPerCall = 256;

}  // namespace

Duration WorkerState::timeout(const Session& session) const {
  const auto& t = runtime->nat64.timeouts;
  switch (session.protocol()) {
    case Protocol::kUdp:
      return t.udp;
    case Protocol::kIcmp:
      return t.icmp;
    case Protocol::kTcp:
      break;
  }
  const auto state = session.state();
  const bool established =
      state == TcpState::kEstablished || state == TcpState::kV4FinRcv || state == TcpState::kV6FinRcv;
  return established ? t.tcp_established : t.tcp_transitory;
}

// Rounded up, so that no session ends before its time.
TimePoint WorkerState::due(const Session& session) const {
  const std::int64_t seen = (std::int64_t{session.last_seen} + 1) << 26;
  return TimePoint{Duration{seen}} + timeout(session);
}

void WorkerState::change_state(Session& session, std::uint32_t number, TcpState state) {
  const auto before = timeout(session);
  session.set_state(state);
  if (timeout(session) >= before) return;  // the wheel finds out by itself
  wheel.remove(tables.sessions(), number);
  wheel.add(tables.sessions(), number, due(session));
}

bool WorkerState::expire(TimePoint now) {
  if (!runtime) return false;
  for (auto& [address, deadline] : drains_) {
    if (deadline == TimePoint::min() || now < deadline) continue;
    deadline = TimePoint::min();  // over
    begin_generation(now);
  }
  sweep(kSweepPerCall, now);
  for (const auto side : {Side::kV6, Side::kV4}) {
    fragments[static_cast<std::size_t>(side)].expire(now, [&](std::uint8_t protocol) {
      counters.of(side).drop(protocol_seen(protocol), DropReason::kFragmentTimeout).add();
    });
  }
  counters.held_fragments.set(fragments[0].held() + fragments[1].held());
  const bool more = expire_sessions(now);
  held_syns.expire(now, [&](std::span<const std::uint8_t> packet) { answer_held_syn(packet, now); });
  counters.held_syns.set(held_syns.used());
  return more || sweep_left_ > 0;
}

// A few at a time, so that what the ends of one touch is fetched while others are seen to.
bool WorkerState::expire_sessions(TimePoint now) {
  constexpr std::uint32_t kAtOnce = 16;
  const std::uint32_t most = std::min(kExpirePerCall + std::exchange(made_since_expiry_, 0), kExpireAtMost);
  std::array<std::uint32_t, kAtOnce> over;
  for (std::uint32_t done = 0; done < most; done += kAtOnce) {
    std::uint32_t n = 0;
    std::uint32_t popped = 0;
    for (; popped < kAtOnce; ++popped) {
      const auto number = wheel.pop(tables.sessions(), now);
      if (number == kNone) break;
      const auto when = due(tables.sessions()[number]);
      if (when > now) {
        wheel.add(tables.sessions(), number, when);
        continue;
      }
      tables.prefetch_removal(number);
      over[n++] = number;
    }
    for (std::uint32_t i = 0; i < n; ++i) expire_session(over[i], now);
    if (popped < kAtOnce) return false;
  }
  return true;
}

// §3.5.2.2: an established connection is asked once more before it goes.
void WorkerState::expire_session(std::uint32_t number, TimePoint now) {
  Session& session = tables.sessions()[number];
  const bool established = session.protocol() == Protocol::kTcp && session.state() == TcpState::kEstablished;
  if (!established) {
    end_session(number, Event::kSessionExpired, now);
    return;
  }
  session.set_state(TcpState::kTrans);
  session.last_seen = session_ticks(now);
  wheel.add(tables.sessions(), number, due(session));
  if (extra.add(Side::kV6, tcp_probe(session.tuple6()))) counters.of(Event::kProbeSent).add();
}

bool WorkerState::may_answer(Side side, std::span<const std::uint8_t> packet, IcmpError error,
                             TimePoint now) {
  const bool v6 = side == Side::kV6;
  if (!(v6 ? may_answer_ipv6(packet, error) : may_answer_ipv4(packet))) {
    counters.of(Event::kIcmpErrorForbidden).add();
    return false;
  }
  const bool too_big = v6 ? error.type == icmp6::kPacketTooBig
                          : error.type == icmp4::kUnreachable && error.code == icmp4::kFragmentationNeeded;
  if (!(too_big ? limit_too_big_ : limit_icmp_).take(now, runtime->nat64.icmp_errors_per_second)) {
    counters.of(Event::kIcmpErrorLimited).add();
    return false;
  }
  return true;
}

// §3.5.2.2, V4 INIT: the SYN that nobody wanted is answered with "port unreachable".
void WorkerState::answer_held_syn(std::span<const std::uint8_t> packet, TimePoint now) {
  std::array<std::uint8_t, kTranslationHeadroom + 128> frame{};
  std::ranges::copy(packet, frame.begin() + kTranslationHeadroom);
  PacketBuffer buffer{frame, kTranslationHeadroom, packet.size()};
  auto& side = counters.of(Side::kV4);
  const bool from_client = pool.contains(Ipv4Address::load(&packet[12]));  // held after its first half, §3.8
  constexpr IcmpError kError{icmp4::kUnreachable, icmp4::kPortUnreachable, 0};
  const bool answered = may_answer(Side::kV4, packet, kError, now) &&
                        make_reply_ipv4(buffer, kError, *runtime, static_cast<std::uint16_t>(random())) &&
                        (from_client ? own_errors : extra).add(Side::kV4, buffer.packet());
  constexpr auto kReason = DropReason::kSynUnanswered;
  (answered ? side.reply(ProtocolSeen::kTcp, kReason) : side.drop(ProtocolSeen::kTcp, kReason)).add();
}

}  // namespace isthmus::nat64
