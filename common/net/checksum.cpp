// SPDX-License-Identifier: Apache-2.0
#include "common/net/checksum.hpp"

#include <bit>
#include <cstring>

namespace isthmus {

Sum sum_bytes(std::span<const std::uint8_t> bytes) {
  // Add native words and swap once at the end: the one's-complement sum is byte-order independent (RFC 1071
  // §2 B).
  const std::uint8_t* p = bytes.data();
  std::size_t n = bytes.size();
  Sum sum = 0;
  for (; n >= 4; p += 4, n -= 4) {
    std::uint32_t word;
    std::memcpy(&word, p, 4);
    sum += word;
  }
  if (n >= 2) {
    std::uint16_t word;
    std::memcpy(&word, p, 2);
    sum += word;
    p += 2;
    n -= 2;
  }
  if (n == 1) {
    const std::uint8_t last[2] = {*p, 0};
    std::uint16_t word;
    std::memcpy(&word, last, 2);
    sum += word;
  }
  const std::uint16_t folded = fold(sum);
  if constexpr (std::endian::native == std::endian::little) return __builtin_bswap16(folded);
  return folded;
}

}  // namespace isthmus
