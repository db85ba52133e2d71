// SPDX-License-Identifier: Apache-2.0
// libnl's addresses to and from ours.
#pragma once

#include <netlink/addr.h>
#include <sys/socket.h>

#include <optional>

#include "nat64-svc/shell/netlink/network_view.hpp"

namespace isthmus::nat64 {

[[nodiscard]] inline std::optional<IpAddress> to_ip_address(const nl_addr* address) {
  if (address == nullptr) return std::nullopt;
  const auto* bytes = static_cast<const std::uint8_t*>(nl_addr_get_binary_addr(address));
  if (nl_addr_get_family(address) == AF_INET && nl_addr_get_len(address) == 4)
    return Ipv4Address::load(bytes);
  if (nl_addr_get_family(address) == AF_INET6 && nl_addr_get_len(address) == 16)
    return Ipv6Address::load(bytes);
  return std::nullopt;
}

// The caller gives it back with nl_addr_put().
[[nodiscard]] inline nl_addr* to_nl_addr(const IpAddress& address) {
  std::uint8_t bytes[16];
  if (const auto* v4 = std::get_if<Ipv4Address>(&address)) {
    v4->store(bytes);
    return nl_addr_build(AF_INET, bytes, 4);
  }
  std::get<Ipv6Address>(address).store(bytes);
  return nl_addr_build(AF_INET6, bytes, 16);
}

}  // namespace isthmus::nat64
