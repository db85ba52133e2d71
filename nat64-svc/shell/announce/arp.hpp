// SPDX-License-Identifier: Apache-2.0
// ARP for addresses that no interface has (RFC 826, RFC 5227): bytes in, bytes out.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "common/net/ipv4_address.hpp"
#include "nat64-svc/shell/netlink/mac_address.hpp"

namespace isthmus::nat64 {

inline constexpr std::size_t kArpFrame = 14 + 28;
using ArpFrame = std::array<std::uint8_t, kArpFrame>;

struct ArpRequest {
  MacAddress sender_mac;
  Ipv4Address sender;
  Ipv4Address target;
};

// A request (opcode 1) for Ethernet and IPv4 in a whole frame; nothing for all else.
[[nodiscard]] std::optional<ArpRequest> parse_arp_request(std::span<const std::uint8_t> frame);

// "`address` is at `mac`", to who asked.
[[nodiscard]] ArpFrame arp_reply(const ArpRequest& request, Ipv4Address address, const MacAddress& mac);

// RFC 5227 §3: an announcement to all, a request whose sender and target are the same.
[[nodiscard]] ArpFrame arp_announcement(Ipv4Address address, const MacAddress& mac);

}  // namespace isthmus::nat64
