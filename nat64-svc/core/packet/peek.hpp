// SPDX-License-Identifier: Apache-2.0
// The tuple of a packet of the everyday kind, read at a glance: nothing is validated, so it is good for
// fetching memory ahead of time and for nothing else. Total over any bytes.
#pragma once

#include <optional>
#include <span>

#include "nat64-svc/core/packet/parsed.hpp"
#include "nat64-svc/core/tuple.hpp"

namespace isthmus::nat64 {

// Ports, or the identifier of an ICMP echo, where they lie without extension headers or options.
[[nodiscard]] inline std::optional<Tuple6> peek_ipv6(std::span<const std::uint8_t> p) {
  if (p.size() < kIpv6Header + 8U) return std::nullopt;
  const std::uint8_t* l4 = &p[kIpv6Header];
  const auto client = Ipv6Address::load(&p[8]);
  const auto server = Ipv6Address::load(&p[24]);
  if (p[6] == kProtoIcmp6) return Tuple6{Protocol::kIcmp, {client, load_be16(l4 + 4)}, {server, 0}};
  if (p[6] != kProtoTcp && p[6] != kProtoUdp) return std::nullopt;
  return Tuple6{p[6] == kProtoTcp ? Protocol::kTcp : Protocol::kUdp,
                {client, load_be16(l4)},
                {server, load_be16(l4 + 2)}};
}

[[nodiscard]] inline std::optional<Tuple4> peek_ipv4(std::span<const std::uint8_t> p) {
  if (p.size() < kIpv4Header + 8U) return std::nullopt;
  const std::uint8_t* l4 = &p[kIpv4Header];
  const auto server = Ipv4Address::load(&p[12]);
  const auto client = Ipv4Address::load(&p[16]);
  if (p[9] == kProtoIcmp) return Tuple4{Protocol::kIcmp, {client, load_be16(l4 + 4)}, {server, 0}};
  if (p[9] != kProtoTcp && p[9] != kProtoUdp) return std::nullopt;
  return Tuple4{p[9] == kProtoTcp ? Protocol::kTcp : Protocol::kUdp,
                {client, load_be16(l4 + 2)},
                {server, load_be16(l4)}};
}

}  // namespace isthmus::nat64
