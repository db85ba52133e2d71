// SPDX-License-Identifier: Apache-2.0
// Which flows a capture is about. Pure: looks at a packet before and after translation. Every field that is
// set must match.
#pragma once

#include <optional>
#include <span>

#include "common/net/prefix.hpp"
#include "nat64-svc/core/packet/parsed.hpp"
#include "nat64-svc/core/verdict.hpp"

namespace isthmus::nat64 {

struct CaptureFilter {
  std::optional<Protocol> protocol;
  std::optional<Ipv6Prefix> client6;
  std::optional<Ipv4Prefix> server4;
  std::optional<std::uint16_t> port;  // any port of the packet on either side; for ICMP the identifier

  [[nodiscard]] bool empty() const { return !protocol && !client6 && !server4 && !port; }
};

// What a capture wants to know of a packet; either half is missing when the packet was not translated, or
// does not parse.
struct Sides {
  std::optional<Parsed6> six;
  std::optional<Parsed4> four;
};
void look_at(std::span<const std::uint8_t> packet, Sides& sides);

// `from`: where the packet came from. One that was dropped from IPv4 has no client; one dropped from IPv6
// counts as going to `server4` when the address lies at any of RFC 6052's places.
[[nodiscard]] bool matches(const CaptureFilter& filter, Side from, const Sides& sides);

}  // namespace isthmus::nat64
