// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/core/rfc7915/fragmented_udp.hpp"

#include <algorithm>

#include "common/net/big_endian.hpp"
#include "common/net/checksum.hpp"
#include "nat64-svc/core/rfc7915/rewrite_l4.hpp"

namespace isthmus::nat64 {

bool lacks_checksum(std::span<const std::uint8_t> ipv4, const Parsed4& packet, const Nat64Policy& policy) {
  return packet.protocol == Protocol::kUdp && packet.is_fragment() && packet.has_l4_header() &&
         policy.udp_zero_checksum == UdpZeroChecksum::kCalculate &&
         load_be16(&ipv4[packet.l4_offset + 6U]) == 0;
}

std::optional<std::uint16_t> checksum_of_pieces(Ipv4Address source, Ipv4Address destination,
                                                std::span<const DatagramPiece> pieces) {
  Sum sum = 0;
  std::size_t total = 0;
  std::size_t length = 65535;  // as the first piece says
  for (bool last = false; !last;) {
    const auto next =
        std::ranges::find_if(pieces, [&](const auto& p) { return p.offset == total && !p.bytes.empty(); });
    if (next == pieces.end()) return std::nullopt;
    if (total == 0) length = load_be16(&next->bytes[4]);  // parse: a first piece has the whole UDP header
    const std::size_t counted = std::min(next->bytes.size(), length - std::min(length, total));
    sum += sum_bytes(next->bytes.first(counted));
    total += next->bytes.size();
    last = next->last;
  }
  if (length < 8 || length > total) return std::nullopt;
  const std::uint16_t checksum =
      finish(sum + pseudo_header(source, destination, kProtoUdp, static_cast<std::uint16_t>(length)));
  return checksum == 0 ? std::uint16_t{0xffff} : checksum;
}

}  // namespace isthmus::nat64
