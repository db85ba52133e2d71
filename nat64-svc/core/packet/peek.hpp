// SPDX-License-Identifier: Apache-2.0
// What the hash of an everyday packet's tuple is made of, read at a glance: nothing is validated, so it is
// good for fetching memory ahead of time and for nothing else. Total over any bytes. Plain numbers: what is
// passed on in registers waits for no memory.
#pragma once

#include <span>

#include "nat64-svc/core/packet/parsed.hpp"
#include "nat64-svc/core/tuple.hpp"

namespace isthmus::nat64 {

// Ports, or the identifier of an ICMP echo, where they lie without extension headers or options. False: a
// packet of another kind.
[[nodiscard]] inline bool peek_ipv6(std::span<const std::uint8_t> p, TupleWords& out) {
  if (p.size() < kIpv6Header + 8U) return false;
  const std::uint8_t* l4 = &p[kIpv6Header];
  if (p[6] == kProtoIcmp6)
    out.ports = tuple_ports(Protocol::kIcmp, load_be16(l4 + 4), 0);
  else if (p[6] == kProtoTcp || p[6] == kProtoUdp)
    out.ports =
        tuple_ports(p[6] == kProtoTcp ? Protocol::kTcp : Protocol::kUdp, load_be16(l4), load_be16(l4 + 2));
  else
    return false;
  out.client = {load_be64(&p[8]), load_be64(&p[16])};
  out.server = {load_be64(&p[24]), load_be64(&p[32])};
  return true;
}

[[nodiscard]] inline bool peek_ipv4(std::span<const std::uint8_t> p, TupleWords& out) {
  if (p.size() < kIpv4Header + 8U) return false;
  const std::uint8_t* l4 = &p[kIpv4Header];
  if (p[9] == kProtoIcmp)
    out.ports = tuple_ports(Protocol::kIcmp, load_be16(l4 + 4), 0);
  else if (p[9] == kProtoTcp || p[9] == kProtoUdp)
    out.ports =
        tuple_ports(p[9] == kProtoTcp ? Protocol::kTcp : Protocol::kUdp, load_be16(l4 + 2), load_be16(l4));
  else
    return false;
  out.client = {load_be32(&p[16]), 0};
  out.server = {load_be32(&p[12]), 0};
  return true;
}

}  // namespace isthmus::nat64
