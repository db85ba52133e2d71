// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/core/counters.hpp"

#include "nat64-svc/core/packet/parsed.hpp"

namespace isthmus::nat64 {

ProtocolSeen protocol_seen(std::uint8_t number) {
  if (number == kProtoTcp) return ProtocolSeen::kTcp;
  if (number == kProtoUdp) return ProtocolSeen::kUdp;
  return number == kProtoIcmp || number == kProtoIcmp6 ? ProtocolSeen::kIcmp : ProtocolSeen::kOther;
}

ProtocolSeen protocol_seen(std::span<const std::uint8_t> packet) {
  constexpr std::uint8_t kFragment = 44;
  if (packet.size() < kIpv4Header) return ProtocolSeen::kOther;
  if (packet[0] >> 4 == 4) return protocol_seen(packet[9]);
  if (packet[0] >> 4 != 6) return ProtocolSeen::kOther;
  if (packet[6] != kFragment) return protocol_seen(packet[6]);
  return packet.size() > kIpv6Header ? protocol_seen(packet[kIpv6Header]) : ProtocolSeen::kOther;
}

}  // namespace isthmus::nat64
