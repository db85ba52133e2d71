// SPDX-License-Identifier: Apache-2.0
// The Internet checksum (RFC 1071) and its incremental update (RFC 1624).
//
// A `Sum` is a one's-complement sum of 16-bit words in network order, kept in 64 bits and folded late. Sums
// of parts can be added when every part but the last has even length.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "common/net/ipv4_address.hpp"
#include "common/net/ipv6_address.hpp"

namespace isthmus {

using Sum = std::uint64_t;

// Without branches: how often a carry comes is nothing that a processor can foresee.
[[nodiscard]] constexpr std::uint16_t fold(Sum sum) {
  sum = (sum & 0xffffffff) + (sum >> 32);  // 33 bits
  sum = (sum & 0xffff) + (sum >> 16);      // 18 bits
  sum = (sum & 0xffff) + (sum >> 16);      // 17 bits
  return static_cast<std::uint16_t>((sum & 0xffff) + (sum >> 16));
}

// Sum of bytes as big-endian 16-bit words; an odd last byte is padded with zero (RFC 1071).
[[nodiscard]] Sum sum_bytes(std::span<const std::uint8_t> bytes);

[[nodiscard]] constexpr Sum sum_of(Ipv4Address a) {
  return Sum{a.value() >> 16} + (a.value() & 0xffff);
}
[[nodiscard]] inline Sum sum_of(const Ipv6Address& a) {
  const auto h = a.high();
  const auto l = a.low();
  return (h >> 48) + (h >> 32 & 0xffff) + (h >> 16 & 0xffff) + (h & 0xffff) + (l >> 48) + (l >> 32 & 0xffff) +
         (l >> 16 & 0xffff) + (l & 0xffff);
}

// Pseudo-headers: RFC 793 §3.1 for IPv4, RFC 8200 §8.1 for IPv6. `length` is that of the upper-layer packet
// in bytes.
[[nodiscard]] inline Sum pseudo_header(Ipv4Address source, Ipv4Address destination, std::uint8_t protocol,
                                       std::uint32_t length) {
  return sum_of(source) + sum_of(destination) + protocol + (length >> 16) + (length & 0xffff);
}
[[nodiscard]] inline Sum pseudo_header(const Ipv6Address& source, const Ipv6Address& destination,
                                       std::uint8_t next_header, std::uint32_t length) {
  return sum_of(source) + sum_of(destination) + next_header + (length >> 16) + (length & 0xffff);
}

// The checksum field for data whose words (field as zero) add up to `sum`.
[[nodiscard]] constexpr std::uint16_t finish(Sum sum) {
  return static_cast<std::uint16_t>(~fold(sum));
}

// RFC 1624 eqn. 3: HC' = ~(~HC + ~m + m'). `removed` and `added` are sums of the words that left and came.
[[nodiscard]] constexpr std::uint16_t update_checksum(std::uint16_t checksum, Sum removed, Sum added) {
  const Sum not_removed = static_cast<std::uint16_t>(~fold(removed));
  return finish(Sum{static_cast<std::uint16_t>(~checksum)} + not_removed + added);
}

}  // namespace isthmus
