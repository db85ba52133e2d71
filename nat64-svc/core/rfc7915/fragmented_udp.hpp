// SPDX-License-Identifier: Apache-2.0
// RFC 6146 §3.4, RFC 7915 §4.5: UDP over IPv4 without a checksum, in fragments. IPv6 demands the checksum,
// and it covers every fragment, so it can be known only when all are here.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "common/config/policy.hpp"
#include "nat64-svc/core/packet/parsed.hpp"

namespace isthmus::nat64 {

// Datagrams in more fragments than that are not completed: 64 of 1 KiB make the largest there is.
inline constexpr std::size_t kMostPieces = 64;

// Is this the first fragment of a datagram without a checksum, which the policy wants calculated?
[[nodiscard]] bool lacks_checksum(std::span<const std::uint8_t> ipv4, const Parsed4& packet,
                                  const Nat64Policy& policy);
// Never of IPv6.
[[nodiscard]] constexpr bool lacks_checksum(std::span<const std::uint8_t> /*ipv6*/, const Parsed6& /*packet*/,
                                            const Nat64Policy& /*policy*/) {
  return false;
}

struct DatagramPiece {
  std::uint16_t offset = 0;  // bytes; that of the first is 0
  bool last = false;
  std::span<const std::uint8_t> bytes;  // without IP header
};

// The UDP checksum of the datagram that these are pieces of, in any order; doubles do no harm. Nothing: one
// is missing, or the length in the UDP header is not possible.
[[nodiscard]] std::optional<std::uint16_t> checksum_of_pieces(Ipv4Address source, Ipv4Address destination,
                                                              std::span<const DatagramPiece> pieces);

}  // namespace isthmus::nat64
