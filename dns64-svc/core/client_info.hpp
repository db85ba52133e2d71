// SPDX-License-Identifier: Apache-2.0
// Who asks, over what.
#pragma once

#include <cstdint>
#include <variant>

#include "common/base/enum_names.hpp"
#include "common/net/ipv4_address.hpp"
#include "common/net/ipv6_address.hpp"
#include "dns64-svc/core/wire/constants.hpp"

namespace isthmus::dns64 {

enum class Transport : std::uint8_t { kUdp, kTcp, kTls, kHttps, kCount };
inline constexpr EnumNames<Transport> kTransportNames{{"udp", "tcp", "tls", "https"}};

using ClientAddress = std::variant<Ipv6Address, Ipv4Address>;
// How many bits of an address are known, when that is not a client's but its network's (RFC 7871): else all.
inline constexpr unsigned kWholeAddress = 128;

struct ClientInfo {
  ClientAddress address;  // an IPv4 client on a dual-stack socket is given as Ipv4Address, not ::ffff:a.b.c.d
  Transport transport = Transport::kUdp;
  // Largest reply we send over UDP, in bytes; the client's own EDNS size may lower it, never raise it.
  std::uint16_t max_udp_size = kDefaultUdpSize;
  // How long an idle stream is kept, in units of 100 ms: told to clients that ask (RFC 7828). 0: not told.
  std::uint16_t idle_timeout = 0;
};

}  // namespace isthmus::dns64
