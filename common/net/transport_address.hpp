// SPDX-License-Identifier: Apache-2.0
// Transport addresses of RFC 6146 §2: an address and a port, or for ICMP the identifier in the port's place.
#pragma once

#include <compare>
#include <cstdint>
#include <string>

#include "common/net/ipv4_address.hpp"
#include "common/net/ipv6_address.hpp"

namespace isthmus {

struct TransportAddress4 {
  Ipv4Address address;
  std::uint16_t port = 0;  // host order; TCP/UDP port or ICMP identifier
  constexpr auto operator<=>(const TransportAddress4&) const = default;
  [[nodiscard]] std::string to_string() const { return address.to_string() + ":" + std::to_string(port); }
};

struct TransportAddress6 {
  Ipv6Address address;
  std::uint16_t port = 0;  // host order; TCP/UDP port or ICMPv6 identifier
  constexpr auto operator<=>(const TransportAddress6&) const = default;
  [[nodiscard]] std::string to_string() const {
    return "[" + address.to_string() + "]:" + std::to_string(port);
  }
};

}  // namespace isthmus
