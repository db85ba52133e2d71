// SPDX-License-Identifier: Apache-2.0
// An Ethernet address as a value.
#pragma once

#include <array>
#include <cstdint>

namespace isthmus::nat64 {

struct MacAddress {
  std::array<std::uint8_t, 6> bytes{};
  // Multicast or broadcast (IEEE 802, the I/G bit).
  [[nodiscard]] constexpr bool is_group() const { return (bytes[0] & 1) != 0; }
  bool operator==(const MacAddress&) const = default;
};

}  // namespace isthmus::nat64
