// SPDX-License-Identifier: Apache-2.0
// Ethernet, with at most one tag of IEEE 802.1Q: bytes in, bytes out.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>

#include "common/net/big_endian.hpp"
#include "nat64-svc/shell/ways.hpp"
#include "nat64-svc/shell/xsk/umem.hpp"

namespace isthmus::nat64 {

inline constexpr std::uint16_t kEthertypeIpv4 = 0x0800;
inline constexpr std::uint16_t kEthertypeVlan = 0x8100;
inline constexpr std::uint16_t kEthertypeIpv6 = 0x86dd;

struct LinkHeader {
  std::uint16_t ethertype = 0;  // of the packet
  std::uint32_t length = 0;
};

// `frame`: at least kEthernetHeader bytes. Of which VLAN a tag is, the steering program has looked at.
[[nodiscard]] inline LinkHeader parse_link_header(std::span<const std::uint8_t> frame) {
  const auto ethertype = load_be16(&frame[12]);
  if (ethertype != kEthertypeVlan || frame.size() < kLinkHeader) [[likely]]
    return {ethertype, kEthernetHeader};
  return {load_be16(&frame[16]), kLinkHeader};
}

// Writes the header that ends where the IP packet begins, at least kLinkHeader bytes behind the begin of
// `frame`; returns its length.
inline std::uint32_t store_link_header(std::span<std::uint8_t> frame, std::size_t packet, const Way& way) {
  const std::uint32_t length = way.vlan == 0 ? kEthernetHeader : kLinkHeader;
  std::uint8_t* header = &frame[packet - length];
  std::memcpy(header, way.to.bytes.data(), 6);
  std::memcpy(header + 6, way.from.bytes.data(), 6);
  if (way.vlan != 0) [[unlikely]] {
    store_be16(header + 12, kEthertypeVlan);
    store_be16(header + 14, way.vlan);  // priority 0
  }
  store_be16(&frame[packet - 2], frame[packet] >> 4 == 6 ? kEthertypeIpv6 : kEthertypeIpv4);
  return length;
}

}  // namespace isthmus::nat64
