// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/core/icmp_reply.hpp"

#include <optional>

#include "nat64-svc/core/packet/write.hpp"

namespace isthmus::nat64 {
namespace {

constexpr std::uint8_t kHopLimit = 64;
constexpr std::size_t kQuote4 = 576 - kIpv4Header - kIcmpHeader;  // RFC 1812 §4.3.2.3

// The ICMPv6 type of a packet, or nothing when it is none or cannot be seen.
std::optional<std::uint8_t> icmp6_type(std::span<const std::uint8_t> p) {
  std::uint8_t protocol = p[6];
  std::size_t at = kIpv6Header;
  for (int i = 0; i < 16; ++i) {
    if (at + 8 > p.size()) break;
    if (protocol == kProtoIcmp6) return p[at];
    if (protocol == 44 && (load_be16(&p[at + 2]) & 0xfff8) != 0) break;
    if (protocol != 0 && protocol != 43 && protocol != 44 && protocol != 60) break;
    const std::size_t length = protocol == 44 ? 8 : (std::size_t{p[at + 1]} + 1) * 8;
    protocol = p[at];
    at += length;
  }
  return std::nullopt;
}

}  // namespace

bool may_answer_ipv6(std::span<const std::uint8_t> packet, IcmpError error) {
  if (packet.size() < kIpv6Header || packet[0] >> 4 != 6) return false;
  const auto source = Ipv6Address::load(&packet[8]);
  const auto destination = Ipv6Address::load(&packet[24]);
  // ::/64 has the unspecified and loopback addresses, and IPv4 ones in disguise: nobody's source.
  if (source.is_multicast() || source.high() == 0) return false;
  if (destination.is_multicast() && error.type != icmp6::kPacketTooBig) return false;
  const auto type = icmp6_type(packet);
  return !type || (*type >= 128 && *type != icmp6::kRedirect);
}

bool may_answer_ipv4(std::span<const std::uint8_t> packet) {
  if (packet.size() < kIpv4Header || packet[0] >> 4 != 4) return false;
  const auto source = Ipv4Address::load(&packet[12]).value();
  const auto destination = Ipv4Address::load(&packet[16]).value();
  const auto first = source >> 24;
  if (first == 0 || first == 127 || first >= 224) return false;
  if (destination >> 24 >= 224) return false;
  if ((load_be16(&packet[6]) & 0x1fff) != 0) return false;
  if (packet[9] != kProtoIcmp) return true;
  const std::size_t header = std::size_t{packet[0]} % 16 * 4;
  if (header >= packet.size()) return false;
  // RFC 1122 §3.2.2.1: never about an error; queries may be answered.
  const std::uint8_t type = packet[header];
  return type == icmp4::kEchoRequest || type == icmp4::kEchoReply || (type >= 13 && type <= 18);
}

bool make_reply_ipv6(PacketBuffer& buffer, IcmpError error, const Runtime& runtime) {
  const auto to = Ipv6Address::load(&buffer.packet()[8]);
  const auto& own = runtime.options.own6;
  const auto from = own.is_unspecified() ? Ipv6Address::load(&buffer.packet()[24]) : own;
  if (!buffer.resize(std::min(buffer.length(), kQuote6))) return false;
  if (!buffer.grow_front(kIpv6Header + kIcmpHeader)) return false;
  const auto bytes = buffer.packet();
  const auto length = static_cast<std::uint16_t>(bytes.size() - kIpv6Header);
  write_ipv6(bytes.data(), {0, length, kProtoIcmp6, kHopLimit, from, to});
  std::uint8_t* icmp = &bytes[kIpv6Header];
  icmp[0] = error.type;
  icmp[1] = error.code;
  store_be16(icmp + 2, 0);
  store_be32(icmp + 4, error.rest);
  store_be16(icmp + 2,
             finish(sum_bytes(bytes.subspan(kIpv6Header)) + pseudo_header(from, to, kProtoIcmp6, length)));
  return true;
}

bool make_reply_ipv4(PacketBuffer& buffer, IcmpError error, const Runtime& runtime,
                     std::uint16_t identification) {
  const auto to = Ipv4Address::load(&buffer.packet()[12]);
  const auto& own = runtime.options.own4;
  const auto from = own.value() == 0 ? Ipv4Address::load(&buffer.packet()[16]) : own;
  if (!buffer.resize(std::min(buffer.length(), kQuote4))) return false;
  if (!buffer.grow_front(kIpv4Header + kIcmpHeader)) return false;
  const auto bytes = buffer.packet();
  write_ipv4(bytes.data(), {.tos = 0xc0,  // RFC 1812 §4.3.2.5: internetwork control
                            .total_length = static_cast<std::uint16_t>(bytes.size()),
                            .identification = identification,
                            .ttl = kHopLimit,
                            .protocol = kProtoIcmp,
                            .source = from,
                            .destination = to});
  std::uint8_t* icmp = &bytes[kIpv4Header];
  icmp[0] = error.type;
  icmp[1] = error.code;
  store_be16(icmp + 2, 0);
  store_be32(icmp + 4, error.rest);
  store_be16(icmp + 2, finish(sum_bytes(bytes.subspan(kIpv4Header))));
  return true;
}

}  // namespace isthmus::nat64
