// SPDX-License-Identifier: Apache-2.0
// RFC 6146 §3.4: the incoming tuple of a packet, and of the packet inside an ICMP error (which went the other
// way).
#pragma once

#include "nat64-svc/core/packet/parsed.hpp"
#include "nat64-svc/core/tuple.hpp"

namespace isthmus::nat64 {

[[nodiscard]] inline Tuple6 incoming_tuple(const Parsed6& p) {
  const bool icmp = p.protocol == Protocol::kIcmp;
  return {
      p.protocol, {p.source, p.source_port}, {p.destination, icmp ? std::uint16_t{0} : p.destination_port}};
}

[[nodiscard]] inline Tuple4 incoming_tuple(const Parsed4& p) {
  const bool icmp = p.protocol == Protocol::kIcmp;
  return {
      p.protocol, {p.destination, p.destination_port}, {p.source, icmp ? std::uint16_t{0} : p.source_port}};
}

// Inside an ICMPv6 error lies a packet that we sent to the client.
[[nodiscard]] inline Tuple6 tuple_inside(const Parsed6& p) {
  const bool icmp = p.protocol == Protocol::kIcmp;
  return {
      p.protocol, {p.destination, p.destination_port}, {p.source, icmp ? std::uint16_t{0} : p.source_port}};
}

// Inside an ICMPv4 error lies a packet that we sent to the server.
[[nodiscard]] inline Tuple4 tuple_inside(const Parsed4& p) {
  const bool icmp = p.protocol == Protocol::kIcmp;
  return {
      p.protocol, {p.source, p.source_port}, {p.destination, icmp ? std::uint16_t{0} : p.destination_port}};
}

}  // namespace isthmus::nat64
