// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/capture/capture_filter.hpp"

#include <algorithm>

#include "common/rfc6052/embed.hpp"
#include "nat64-svc/core/packet/parse.hpp"

namespace isthmus::nat64 {
namespace {

constexpr std::array kEmbedLengths{32U, 40U, 48U, 56U, 64U, 96U};

Heading back(Heading heading) {
  return heading == Heading::kToUs ? Heading::kAway : Heading::kToUs;
}

Ends common_ends(const Parsed& p) {
  Ends ends;
  ends.protocol = p.protocol;
  ends.source_port = p.source_port;
  ends.destination_port = p.destination_port;
  return ends;
}

Ends ends_of(const Parsed6& p, Heading heading) {
  Ends ends = common_ends(p);
  const bool came = heading == Heading::kToUs;
  ends.client6 = came ? p.source : p.destination;
  ends.server6 = came ? p.destination : p.source;
  return ends;
}

Ends ends_of(const Parsed4& p, Heading heading) {
  Ends ends = common_ends(p);
  ends.server4 = heading == Heading::kToUs ? p.source : p.destination;
  return ends;
}

bool embeds(const Ipv4Prefix& wanted, const Ipv6Address& address) {
  return std::ranges::any_of(
      kEmbedLengths, [&](unsigned length) { return wanted.contains(extract_octets(length, address)); });
}

bool server_matches(const Ipv4Prefix& wanted, std::span<const Ends> all) {
  if (std::ranges::any_of(all, [](const Ends& e) { return e.server4.has_value(); }))
    return std::ranges::any_of(all, [&](const Ends& e) { return e.server4 && wanted.contains(*e.server4); });
  return std::ranges::any_of(all, [&](const Ends& e) { return e.server6 && embeds(wanted, *e.server6); });
}

}  // namespace

void Sides::look_at(std::span<const std::uint8_t> packet, Heading heading) {
  if (packet.empty() || count_ + 2 > ends_.size()) return;
  const auto look = [&](auto parse) {
    const auto outer = parse(packet, Whole::kYes);
    if (!outer) return;
    add(ends_of(*outer, heading));
    if (outer->kind != Kind::kIcmpError) return;
    const std::size_t inside = std::size_t{outer->l4_offset} + kIcmpHeader;
    if (inside >= packet.size()) return;
    if (const auto inner = parse(packet.subspan(inside), Whole::kInsideError))
      add(ends_of(*inner, back(heading)));
  };
  if (packet[0] >> 4 == 6)
    look(parse_ipv6);
  else
    look(parse_ipv4);
}

bool matches(const CaptureFilter& filter, const Sides& sides) {
  if (filter.empty()) return true;
  const auto all = sides.ends();
  const auto any = [&](auto&& wanted) { return std::ranges::any_of(all, wanted); };
  if (filter.protocol && !any([&](const Ends& e) { return e.protocol == *filter.protocol; })) return false;
  if (filter.client6 &&
      !any([&](const Ends& e) { return e.client6 && filter.client6->contains(*e.client6); }))
    return false;
  if (filter.server4 && !server_matches(*filter.server4, all)) return false;
  return !filter.port || any([&](const Ends& e) {
    return e.source_port == *filter.port || e.destination_port == *filter.port;
  });
}

}  // namespace isthmus::nat64
