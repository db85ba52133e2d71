// SPDX-License-Identifier: Apache-2.0
// An Ethernet address as a value.
#pragma once

#include <array>
#include <cstdint>

namespace isthmus::nat64 {

struct MacAddress {
  std::array<std::uint8_t, 6> bytes{};
  bool operator==(const MacAddress&) const = default;
};

}  // namespace isthmus::nat64
