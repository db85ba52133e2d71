// SPDX-License-Identifier: Apache-2.0
// The type and code tables of RFC 7915 §4.2 and §5.2, pointers and MTU included. Pure.
#pragma once

#include <optional>

#include "nat64-svc/core/refusal.hpp"

namespace isthmus::nat64 {

// What Packet Too Big arithmetic needs to know.
struct PathMtu {
  std::uint32_t mtu6 = 1500;  // of the IPv6 way
  std::uint32_t mtu4 = 1500;  // of the IPv4 way
};

// The ICMPv6 error for an ICMPv4 one; nothing: drop. `quoted_length` is Total Length of the packet inside,
// for routers that tell no MTU (RFC 1191 §7.1).
[[nodiscard]] std::optional<IcmpError> icmp_error_as_ipv6(IcmpError error, std::uint16_t quoted_length,
                                                          PathMtu path);

// The refusal of an IPv4 packet of ours, told to the IPv6 host whose packet it was (RFC 6146 §3.8). Without
// an answer where there is no such error.
[[nodiscard]] Refusal as_ipv6(const Refusal& refusal);

// The ICMPv4 error for an ICMPv6 one; nothing: drop. `fragment`: the packet inside has a Fragment Header,
// which its IPv4 form does not have.
[[nodiscard]] std::optional<IcmpError> icmp_error_as_ipv4(IcmpError error, PathMtu path, bool fragment);

}  // namespace isthmus::nat64
