// SPDX-License-Identifier: Apache-2.0
// The records of RFC 6146 §3.1 and §3.2. A session repeats the addresses of its binding, so that an
// established packet touches one cache line.
#pragma once

#include <cstdint>
#include <type_traits>

#include "common/config/policy.hpp"
#include "nat64-svc/core/tables/flat_index.hpp"
#include "nat64-svc/core/tcp_state.hpp"
#include "nat64-svc/core/tuple.hpp"

namespace isthmus::nat64 {

// Session time: 2^26 ns (67 ms) since the clock's start; 32 bits last nine years.
[[nodiscard]] inline std::uint32_t session_ticks(TimePoint now) {
  return static_cast<std::uint32_t>(static_cast<std::uint64_t>(now.time_since_epoch().count()) >> 26);
}

struct alignas(64) Session {
  Ipv6Address client6;
  Ipv6Address server6;
  Ipv4Address public4;
  Ipv4Address server4;
  std::uint16_t port6 = 0;
  std::uint16_t port4 = 0;
  std::uint16_t server_port = 0;
  std::uint8_t packed = 0;  // protocol (2 bits), TCP state (3), hairpin, live
  std::uint8_t generation = 0;
  std::uint32_t last_seen = 0;  // session_ticks
  std::uint32_t bib = kNone;
  std::uint32_t timer_next = kNone;
  std::uint32_t timer_prev = kNone;

  [[nodiscard]] Protocol protocol() const { return static_cast<Protocol>(packed & 3); }
  [[nodiscard]] TcpState state() const { return static_cast<TcpState>(packed >> 2 & 7); }
  [[nodiscard]] bool hairpin() const { return (packed & 0x20) != 0; }
  [[nodiscard]] bool live() const { return (packed & 0x40) != 0; }
  void set_protocol(Protocol p) { set(3, static_cast<unsigned>(p)); }
  void set_state(TcpState s) { set(0x1c, static_cast<unsigned>(s) << 2); }
  void set_hairpin(bool on) { set(0x20, on ? 0x20 : 0); }
  void set_live(bool on) { set(0x40, on ? 0x40 : 0); }
  [[nodiscard]] std::uint32_t next_free() const { return timer_next; }
  void set_next_free(std::uint32_t n) { timer_next = n; }

  [[nodiscard]] bool is(const Tuple6& t) const {
    return is_live(t.protocol) && equal(client6, t.client6.address) && equal(server6, t.server6.address) &&
           port6 == t.client6.port && server_port == t.server6.port;
  }
  [[nodiscard]] bool is(const Tuple4& t) const {
    return is_live(t.protocol) && public4 == t.public4.address && server4 == t.server4.address &&
           port4 == t.public4.port && server_port == t.server4.port;
  }
  [[nodiscard]] Tuple6 tuple6() const { return {protocol(), {client6, port6}, {server6, server_port}}; }
  [[nodiscard]] Tuple4 tuple4() const { return {protocol(), {public4, port4}, {server4, server_port}}; }

 private:
  // Two words each, rather than a call of memcmp().
  [[nodiscard]] static bool equal(const Ipv6Address& a, const Ipv6Address& b) {
    return ((a.high() ^ b.high()) | (a.low() ^ b.low())) == 0;
  }
  [[nodiscard]] bool is_live(Protocol p) const {
    return (packed & 0x43) == (0x40 | static_cast<unsigned>(p));
  }
  void set(unsigned mask, unsigned value) { packed = static_cast<std::uint8_t>((packed & ~mask) | value); }
};
static_assert(sizeof(Session) == 64 && std::is_trivially_copyable_v<Session>);

struct Bib {
  Ipv6Address client6;
  Ipv4Address public4;
  std::uint16_t port6 = 0;
  std::uint16_t port4 = 0;
  std::uint32_t subscriber = kNone;  // a static entry has one only while it has sessions
  std::uint32_t sessions = 0;
  Protocol protocol = Protocol::kTcp;
  bool is_static = false;
  bool is_live = false;

  [[nodiscard]] bool live() const { return is_live; }
  void set_live(bool on) { is_live = on; }
  [[nodiscard]] std::uint32_t next_free() const { return subscriber; }
  void set_next_free(std::uint32_t n) { subscriber = n; }
};
static_assert(sizeof(Bib) <= 36);

}  // namespace isthmus::nat64
