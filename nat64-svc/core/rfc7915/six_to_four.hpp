// SPDX-License-Identifier: Apache-2.0
// RFC 7915 §5.1: the IPv6 header becomes an IPv4 header, in place.
#pragma once

#include "nat64-svc/core/packet/parsed.hpp"
#include "nat64-svc/core/packet/write.hpp"
#include "nat64-svc/core/packet_buffer.hpp"
#include "nat64-svc/core/runtime.hpp"
#include "nat64-svc/core/tuple.hpp"

namespace isthmus::nat64 {

// The IPv4 header for `packet`, whose source is `source` now. `l4_length` is what the IPv4 packet carries.
// The caller has checked the hop limit; inside ICMP errors it is not decremented.
[[nodiscard]] inline Ipv4Fields ipv4_header(const Parsed6& packet, std::uint16_t l4_length,
                                            Ipv4Address source, Ipv4Address destination,
                                            const Nat64Policy& policy, std::uint16_t identification) {
  const bool fragment = packet.fragment_header;
  const auto total = static_cast<std::uint16_t>(kIpv4Header + l4_length);
  return {
      .tos = policy.traffic_class == TrafficClass::kCopy ? packet.traffic_class : std::uint8_t{0},
      .total_length = total,
      // §5.1.1: the low 16 bits of the fragment header's identification.
      .identification = fragment ? static_cast<std::uint16_t>(packet.fragment_id) : identification,
      // §5.1: clear up to 1260 bytes, so that IPv4 routers may fragment what IPv6 calls small enough.
      .flags = static_cast<std::uint16_t>((!fragment && total > 1260 ? kDontFragment : 0) |
                                          (packet.more_fragments ? kMoreFragments : 0)),
      .fragment_offset = packet.fragment_offset,
      .ttl = packet.hop_limit,
      .protocol = ip_protocol4(packet.protocol),
      .source = source,
      .destination = destination,
  };
}

// Length of the IPv4 packet that `packet` becomes.
[[nodiscard]] inline std::uint32_t length_as_ipv4(const Parsed6& packet) {
  return std::uint32_t{kIpv4Header} + packet.l4_length;
}

// Whether that packet will say "do not fragment".
[[nodiscard]] inline bool will_have_df(const Parsed6& packet) {
  return !packet.fragment_header && length_as_ipv4(packet) > 1260;
}

// Translates client -> server. For a later fragment only the header changes.
void six_to_four(PacketBuffer& buffer, const Parsed6& packet, const Tuple4& out, const Nat64Policy& policy,
                 std::uint16_t identification);

}  // namespace isthmus::nat64
