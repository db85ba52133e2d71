// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/core/rfc7915/six_to_four.hpp"

#include "nat64-svc/core/refusal.hpp"
#include "nat64-svc/core/rfc7915/rewrite_l4.hpp"

namespace isthmus::nat64 {

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
