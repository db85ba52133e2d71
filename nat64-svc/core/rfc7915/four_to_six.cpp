// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/core/rfc7915/four_to_six.hpp"

#include "nat64-svc/core/rfc7915/rewrite_l4.hpp"

namespace isthmus::nat64 {
namespace {

// RFC 7915 §4.5: IPv6 has no UDP without a checksum. That of a datagram in fragments was completed before
// (translator_fragments.cpp), unless the policy says to drop it.
bool complete_udp_checksum(std::span<std::uint8_t> udp, const Parsed4& packet, const Nat64Policy& policy) {
  if (load_be16(&udp[6]) != 0) return true;
  if (policy.udp_zero_checksum == UdpZeroChecksum::kDrop || packet.is_fragment()) return false;
  const std::uint16_t length = load_be16(&udp[4]);  // parse: 8 up to the size of `udp`
  const std::uint16_t checksum = finish(sum_bytes(udp.first(length)) +
                                        pseudo_header(packet.source, packet.destination, kProtoUdp, length));
  store_be16(&udp[6], checksum == 0 ? 0xffff : checksum);
  return true;
}

bool refuse(DropReason& why, DropReason because) {
  why = because;
  return false;
}

}  // namespace

bool four_to_six(PacketBuffer& buffer, const Parsed4& packet, const Tuple6& out, const Nat64Policy& policy,
                 DropReason& why) {
  if (packet.protocol == Protocol::kUdp && packet.has_l4_header() &&
      !complete_udp_checksum(buffer.packet().subspan(packet.l4_offset, packet.l4_length), packet, policy))
    return refuse(why, DropReason::kUdpZeroChecksum);
  const std::size_t header_length = length_as_ipv6(packet) - packet.l4_length;
  (void)buffer.resize(packet.total_length());
  (void)buffer.shrink_front(packet.l4_offset);
  if (!buffer.grow_front(header_length)) return refuse(why, DropReason::kNoRoom);
  const auto bytes = buffer.packet();
  Ipv6Fields header = ipv6_header(packet, packet.l4_length, out.server6.address, out.client6.address, policy);
  --header.hop_limit;
  write_ipv6(bytes.data(), header);
  if (packet.fragment_header) {
    write_fragment_header(bytes.data() + kIpv6Header, ip_protocol6(packet.protocol), packet.fragment_offset,
                          packet.more_fragments, packet.fragment_id);
  }
  if (!packet.has_l4_header()) return true;
  L4Rewrite rewrite{
      .removed = address_sum(packet.source) + address_sum(packet.destination),
      .added = address_sum(out.server6.address) + address_sum(out.client6.address),
      .source_port = out.server6.port,
      .destination_port = out.client6.port,
      .icmp_type = packet.icmp_type == icmp4::kEchoRequest ? icmp6::kEchoRequest : icmp6::kEchoReply,
  };
  if (packet.protocol == Protocol::kIcmp) {
    rewrite.removed = 0;
    rewrite.added += Sum{packet.l4_claimed} + kProtoIcmp6;
    rewrite.source_port = out.client6.port;  // the identifier
  }
  rewrite_l4(bytes.subspan(header_length), packet.protocol, rewrite);
  return true;
}

}  // namespace isthmus::nat64
