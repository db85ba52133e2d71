// SPDX-License-Identifier: Apache-2.0
// Which flows a capture is about. Pure: looks at a packet before and after translation. Every field that is
// set must match.
#pragma once

#include <array>
#include <optional>
#include <span>

#include "common/net/prefix.hpp"
#include "nat64-svc/core/packet/parsed.hpp"

namespace isthmus::nat64 {

struct CaptureFilter {
  std::optional<Protocol> protocol;
  std::optional<Ipv6Prefix> client6;
  std::optional<Ipv4Prefix> server4;
  std::optional<std::uint16_t> port;  // any port of the packet on either side; for ICMP the identifier

  [[nodiscard]] bool empty() const { return !protocol && !client6 && !server4 && !port; }
};

enum class Heading : bool { kToUs, kAway };

// Whom a packet is between, as a NAT64 sees it: on the IPv6 side is a client, and the server in a translation
// prefix; on the IPv4 side the server.
struct Ends {
  Protocol protocol = Protocol::kTcp;
  std::uint16_t source_port = 0, destination_port = 0;
  std::optional<Ipv6Address> client6, server6;
  std::optional<Ipv4Address> server4;
};

// What a capture wants to know of a packet: its ends as it came and as it leaves, apart, for both may be
// IPv6 (hairpinning); and those of the packet inside an ICMP error, which was on the way back.
class Sides {
 public:
  // Bytes that do not parse tell nothing.
  void look_at(std::span<const std::uint8_t> packet, Heading heading);
  void clear() { count_ = 0; }
  [[nodiscard]] std::span<const Ends> ends() const { return std::span(ends_).first(count_); }

 private:
  void add(const Ends& ends) { ends_[count_++] = ends; }
  std::array<Ends, 4> ends_;
  std::size_t count_ = 0;
};

// One that was dropped from IPv4 has no client; one that has no IPv4 side counts as going to `server4` when
// the address lies at any of RFC 6052's places.
[[nodiscard]] bool matches(const CaptureFilter& filter, const Sides& sides);

}  // namespace isthmus::nat64
