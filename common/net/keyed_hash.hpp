// SPDX-License-Identifier: Apache-2.0
// A keyed hash for tables whose keys a peer chooses (addresses, ports, names): without the key collisions
// cannot be aimed. wyhash-style multiply-mix; not a MAC, and never sent on the wire. The key comes from
// getrandom() in the shell.
#pragma once

#include <cstdint>
#include <span>

#include "common/net/big_endian.hpp"

namespace isthmus {

struct HashKey {
  std::uint64_t k0 = 0x9ae16a3b2f90404fULL;
  std::uint64_t k1 = 0xc949c7defebe6f9bULL;
};

[[nodiscard]] inline std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  __extension__ using u128 = unsigned __int128;
  const u128 product = static_cast<u128>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

[[nodiscard]] inline std::uint64_t keyed_hash(const HashKey& key, std::uint64_t a, std::uint64_t b,
                                              std::uint64_t c = 0) {
  const std::uint64_t first = mix(a ^ key.k0, b ^ key.k1);
  return mix(first ^ key.k1, c ^ key.k0 ^ 0xa0761d6478bd642fULL);
}

[[nodiscard]] inline std::uint64_t keyed_hash(const HashKey& key, std::span<const std::uint8_t> bytes) {
  std::uint64_t state = key.k0 ^ bytes.size();
  std::size_t i = 0;
  for (; i + 8 <= bytes.size(); i += 8)
    state = mix(state ^ load_be64(&bytes[i]), key.k1 ^ 0xe7037ed1a0b428dbULL);
  std::uint64_t tail = 0;
  for (; i < bytes.size(); ++i) tail = tail << 8 | bytes[i];
  return mix(state ^ tail, key.k1);
}

}  // namespace isthmus
