// SPDX-License-Identifier: Apache-2.0
// The transport header in both directions: ports or identifier, ICMP type, and the checksum brought up to
// date by what left and what came (RFC 1624), never computed anew from bytes we did not check.
#pragma once

#include <span>

#include "nat64-svc/core/packet/write.hpp"

namespace isthmus::nat64 {

struct L4Rewrite {
  Sum removed = 0;  // of the old pseudo-header's addresses; with ICMPv6 its length and protocol as well
  Sum added = 0;
  std::uint16_t source_port = 0;  // ICMP: the identifier
  std::uint16_t destination_port = 0;
  std::uint8_t icmp_type = 0;
};

// `l4` holds at least 8 bytes; a checksum beyond its end (inside ICMP errors) is left alone.
inline void rewrite_l4(std::span<std::uint8_t> l4, Protocol protocol, L4Rewrite r) {
  std::uint8_t* p = l4.data();
  if (protocol == Protocol::kIcmp) {
    const Sum removed = r.removed + load_be16(p) + load_be16(p + 4);
    p[0] = r.icmp_type;
    store_be16(p + 4, r.source_port);
    store_be16(p + 2, update_checksum(load_be16(p + 2), removed, r.added + load_be16(p) + r.source_port));
    return;
  }
  const Sum removed = r.removed + load_be16(p) + load_be16(p + 2);
  const Sum added = r.added + r.source_port + r.destination_port;
  store_be16(p, r.source_port);
  store_be16(p + 2, r.destination_port);
  if (protocol == Protocol::kTcp) {
    if (l4.size() >= 18) store_be16(p + 16, update_checksum(load_be16(p + 16), removed, added));
    return;
  }
  const std::uint16_t old = load_be16(p + 6);
  if (old == 0) return;  // UDP without a checksum stays without
  const std::uint16_t fresh = update_checksum(old, removed, added);
  store_be16(p + 6, fresh == 0 ? 0xffff : fresh);  // RFC 768: a computed zero is sent as all ones
}

}  // namespace isthmus::nat64
