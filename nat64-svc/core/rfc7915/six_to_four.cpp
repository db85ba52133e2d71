// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/core/rfc7915/six_to_four.hpp"

#include "nat64-svc/core/refusal.hpp"
#include "nat64-svc/core/rfc7915/rewrite_l4.hpp"

namespace isthmus::nat64 {

Ipv4Fields ipv4_header(const Parsed6& packet, std::uint16_t l4_length, Ipv4Address source,
                       Ipv4Address destination, const Nat64Policy& policy, std::uint16_t identification) {
  const bool fragment = packet.fragment_header;
  const auto total = static_cast<std::uint16_t>(kIpv4Header + l4_length);
  return {
      .tos = policy.traffic_class == TrafficClass::kCopy ? packet.traffic_class : std::uint8_t{0},
      .total_length = total,
      // §5.1.1: the low 16 bits of the fragment header's identification.
      .identification = fragment ? static_cast<std::uint16_t>(packet.fragment_id) : identification,
      // §5.1: clear up to 1260 bytes, so that IPv4 routers may fragment what IPv6 calls small enough.
      .dont_fragment = !fragment && total > 1260,
      .more_fragments = packet.more_fragments,
      .fragment_offset = packet.fragment_offset,
      .ttl = packet.hop_limit,
      .protocol = ip_protocol4(packet.protocol),
      .source = source,
      .destination = destination,
  };
}

void six_to_four(PacketBuffer& buffer, const Parsed6& packet, const Tuple4& out, const Nat64Policy& policy,
                 std::uint16_t identification) {
  Ipv4Fields header =
      ipv4_header(packet, packet.l4_length, out.public4.address, out.server4.address, policy, identification);
  --header.ttl;
  // IPv6 header and extensions are at least 40 bytes, so there is always room for 20.
  (void)buffer.shrink_front(static_cast<std::size_t>(packet.l4_offset - kIpv4Header));
  (void)buffer.resize(header.total_length);
  const auto bytes = buffer.packet();
  write_ipv4(bytes.data(), header);
  if (!packet.has_l4_header()) return;
  L4Rewrite rewrite{
      .removed = address_sum(packet.source) + address_sum(packet.destination),
      .added = address_sum(out.public4.address) + address_sum(out.server4.address),
      .source_port = out.public4.port,
      .destination_port = out.server4.port,
      .icmp_type = packet.icmp_type == icmp6::kEchoRequest ? icmp4::kEchoRequest : icmp4::kEchoReply,
  };
  if (packet.protocol == Protocol::kIcmp) {  // ICMP has no pseudo-header
    rewrite.removed += Sum{packet.l4_claimed} + kProtoIcmp6;
    rewrite.added = 0;
  }
  rewrite_l4(bytes.subspan(kIpv4Header), packet.protocol, rewrite);
}

}  // namespace isthmus::nat64
