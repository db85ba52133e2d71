// SPDX-License-Identifier: Apache-2.0
// RDATA that we look into. Names inside RDATA may be compressed for the types of RFC 1035 (RFC 3597 §4); they
// are read here and kept uncompressed or compressed again by the writer.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "common/base/result.hpp"
#include "common/net/ipv4_address.hpp"
#include "common/net/ipv6_address.hpp"
#include "dns64-svc/core/wire/name.hpp"

namespace isthmus::dns64 {

// Where the names lie in the RDATA of a type: `fixed` bytes, then `names` names, then the rest as it is.
struct RdataLayout {
  std::uint8_t fixed = 0;
  std::uint8_t names = 0;
  bool strings = false;       // NAPTR: three character-strings stand between the fixed part and the name
  bool compressible = false;  // RFC 3597 §4: only the types of RFC 1035 may be compressed when sent
  std::uint8_t tail = 0;      // bytes after the names; exact for types that have names
};
// The layout of `type`; types without names inside have names == 0.
[[nodiscard]] RdataLayout rdata_layout(std::uint16_t type);

[[nodiscard]] std::optional<Ipv4Address> read_a(std::span<const std::uint8_t> rdata);
[[nodiscard]] std::optional<Ipv6Address> read_aaaa(std::span<const std::uint8_t> rdata);

}  // namespace isthmus::dns64
