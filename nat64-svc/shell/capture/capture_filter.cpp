// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/capture/capture_filter.hpp"

#include <algorithm>
#include <array>

#include "common/rfc6052/embed.hpp"
#include "nat64-svc/core/packet/parse.hpp"

namespace isthmus::nat64 {
namespace {

constexpr std::array kEmbedLengths{32U, 40U, 48U, 56U, 64U, 96U};

bool port_matches(std::uint16_t port, const Parsed& p) {
  return p.source_port == port || p.destination_port == port;
}

bool server_matches(const Ipv4Prefix& wanted, Side from, const Sides& sides) {
  if (sides.four) return wanted.contains(from == Side::kV6 ? sides.four->destination : sides.four->source);
  return std::ranges::any_of(kEmbedLengths, [&](unsigned length) {
    return wanted.contains(extract_octets(length, sides.six->destination));
  });
}

}  // namespace

void look_at(std::span<const std::uint8_t> packet, Sides& sides) {
  if (packet.empty()) return;
  if (packet[0] >> 4 == 6) {
    if (const auto parsed = parse_ipv6(packet)) sides.six = *parsed;
  } else if (const auto parsed = parse_ipv4(packet)) {
    sides.four = *parsed;
  }
}

bool matches(const CaptureFilter& filter, Side from, const Sides& sides) {
  if (filter.empty()) return true;
  if (!sides.six && !sides.four) return false;
  const Parsed& any = sides.six ? static_cast<const Parsed&>(*sides.six) : *sides.four;
  if (filter.protocol && any.protocol != *filter.protocol) return false;
  if (filter.client6) {
    if (!sides.six) return false;
    if (!filter.client6->contains(from == Side::kV6 ? sides.six->source : sides.six->destination))
      return false;
  }
  if (filter.server4 && !server_matches(*filter.server4, from, sides)) return false;
  if (!filter.port) return true;
  return (sides.six && port_matches(*filter.port, *sides.six)) ||
         (sides.four && port_matches(*filter.port, *sides.four));
}

}  // namespace isthmus::nat64
