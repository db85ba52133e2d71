// SPDX-License-Identifier: Apache-2.0
// Headers written whole, in field order.
#pragma once

#include <cstdint>

#include "common/net/checksum.hpp"
#include "nat64-svc/core/packet/parsed.hpp"

namespace isthmus::nat64 {

inline constexpr std::uint16_t kDontFragment = 0x4000, kMoreFragments = 0x2000;

struct Ipv4Fields {
  std::uint8_t tos = 0;
  std::uint16_t total_length = 0;
  std::uint16_t identification = 0;
  std::uint16_t flags = 0;
  std::uint16_t fragment_offset = 0;  // bytes
  std::uint16_t ttl = 0;              // below 256; a whole word is written and read again without a stall
  std::uint8_t protocol = 0;
  Ipv4Address source;
  Ipv4Address destination;
};

// Writes 20 bytes, checksum included.
inline void write_ipv4(std::uint8_t* p, const Ipv4Fields& f) {
  const auto first = static_cast<std::uint16_t>(0x4500 | f.tos);
  const auto flags = static_cast<std::uint16_t>(f.flags | f.fragment_offset >> 3);
  const auto ttl_protocol = static_cast<std::uint16_t>(f.ttl << 8 | f.protocol);
  store_be16(p, first);
  store_be16(p + 2, f.total_length);
  store_be16(p + 4, f.identification);
  store_be16(p + 6, flags);
  store_be16(p + 8, ttl_protocol);
  store_be16(p + 10, finish(Sum{first} + f.total_length + f.identification + flags + ttl_protocol +
                            f.source.value() + f.destination.value()));
  f.source.store(p + 12);
  f.destination.store(p + 16);
}

struct Ipv6Fields {
  std::uint8_t traffic_class = 0;
  std::uint16_t payload_length = 0;
  std::uint8_t next_header = 0;
  std::uint8_t hop_limit = 0;
  Ipv6Address source;
  Ipv6Address destination;
};

// Writes 40 bytes. Flow label: zero (RFC 7915 §4.1).
inline void write_ipv6(std::uint8_t* p, const Ipv6Fields& f) {
  store_be32(p, std::uint32_t{6} << 28 | std::uint32_t{f.traffic_class} << 20);
  store_be16(p + 4, f.payload_length);
  p[6] = f.next_header;
  p[7] = f.hop_limit;
  f.source.store(p + 8);
  f.destination.store(p + 24);
}

// Writes the 8 bytes of a fragment header (RFC 8200 §4.5). `offset` in bytes.
inline void write_fragment_header(std::uint8_t* p, std::uint8_t next_header, std::uint16_t offset, bool more,
                                  std::uint32_t id) {
  p[0] = next_header;
  p[1] = 0;
  store_be16(p + 2, static_cast<std::uint16_t>((offset & 0xfff8) | (more ? 1 : 0)));
  store_be32(p + 4, id);
}

// The sum of an address in 32-bit words: congruent to that in 16-bit words, since 2^16 = 1 mod 65535.
[[nodiscard]] inline Sum address_sum(const Ipv6Address& a) {
  const std::uint64_t h = a.high();
  const std::uint64_t l = a.low();
  return (h >> 32) + (h & 0xffffffff) + (l >> 32) + (l & 0xffffffff);
}
[[nodiscard]] inline Sum address_sum(Ipv4Address a) {
  return a.value();
}

[[nodiscard]] constexpr std::uint8_t ip_protocol4(Protocol p) {
  return p == Protocol::kTcp ? kProtoTcp : p == Protocol::kUdp ? kProtoUdp : kProtoIcmp;
}
[[nodiscard]] constexpr std::uint8_t ip_protocol6(Protocol p) {
  return p == Protocol::kTcp ? kProtoTcp : p == Protocol::kUdp ? kProtoUdp : kProtoIcmp6;
}

}  // namespace isthmus::nat64
