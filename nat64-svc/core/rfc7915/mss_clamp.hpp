// SPDX-License-Identifier: Apache-2.0
// Lowers the maximum segment size that a SYN offers (RFC 9293 §3.7.1), so that segments fit both sides
// without Packet Too Big. Never raises it, never adds the option.
#pragma once

#include <span>

#include "common/net/checksum.hpp"

namespace isthmus::nat64 {

// `tcp` is a TCP header with its options, checked before. True when the segment was changed.
inline bool clamp_mss(std::span<std::uint8_t> tcp, std::uint16_t most) {
  const std::size_t end = std::size_t{tcp[12]} >> 4 << 2;
  if (end > tcp.size()) return false;
  for (std::size_t at = 20; at < end;) {
    if (tcp[at] == 0) return false;  // end of options
    if (tcp[at] == 1) {
      ++at;
      continue;
    }
    if (at + 2 > end || tcp[at + 1] < 2 || at + tcp[at + 1] > end) return false;
    if (tcp[at] == 2 && tcp[at + 1] == 4) {
      const std::uint16_t old = load_be16(&tcp[at + 2]);
      if (old <= most) return false;
      store_be16(&tcp[at + 2], most);
      // At an odd offset the bytes stand swapped in the sum (RFC 1071 §2 B).
      const auto word = [&](std::uint16_t v) {
        return at % 2 == 0 ? v : static_cast<std::uint16_t>(v << 8 | v >> 8);
      };
      store_be16(&tcp[16], update_checksum(load_be16(&tcp[16]), word(old), word(most)));
      return true;
    }
    at += tcp[at + 1];
  }
  return false;
}

}  // namespace isthmus::nat64
