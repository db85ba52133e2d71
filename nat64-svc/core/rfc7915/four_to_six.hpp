// SPDX-License-Identifier: Apache-2.0
// RFC 7915 §4.1: the IPv4 header becomes an IPv6 header, in place, with a fragment header for fragments.
#pragma once

#include "nat64-svc/core/packet/parsed.hpp"
#include "nat64-svc/core/packet/write.hpp"
#include "nat64-svc/core/packet_buffer.hpp"
#include "nat64-svc/core/refusal.hpp"
#include "nat64-svc/core/runtime.hpp"
#include "nat64-svc/core/tuple.hpp"

namespace isthmus::nat64 {

// Length of the IPv6 packet that `packet` becomes.
[[nodiscard]] inline std::uint32_t length_as_ipv6(const Parsed4& packet) {
  return std::uint32_t{kIpv6Header} + (packet.fragment_header ? kFragmentHeader : 0U) + packet.l4_length;
}

// The 40 or 48 bytes before the transport header. Hop limit as in `packet`.
[[nodiscard]] inline Ipv6Fields ipv6_header(const Parsed4& packet, std::uint16_t l4_length,
                                            const Ipv6Address& source, const Ipv6Address& destination,
                                            const Nat64Policy& policy) {
  const std::uint16_t extra = packet.fragment_header ? kFragmentHeader : 0;
  return {
      .traffic_class = policy.traffic_class == TrafficClass::kCopy ? packet.traffic_class : std::uint8_t{0},
      .payload_length = static_cast<std::uint16_t>(l4_length + extra),
      .next_header = packet.fragment_header ? std::uint8_t{44} : ip_protocol6(packet.protocol),
      .hop_limit = packet.hop_limit,
      .source = source,
      .destination = destination,
  };
}

// Translates server -> client. False: it could not, and `why` says so: kUdpZeroChecksum, kNoRoom.
[[nodiscard]] bool four_to_six(PacketBuffer& buffer, const Parsed4& packet, const Tuple6& out,
                               const Nat64Policy& policy, DropReason& why);

}  // namespace isthmus::nat64
