// SPDX-License-Identifier: Apache-2.0
// An IPv4 address as a value. Inside it is a host-order integer, so arithmetic and order are the natural
// ones; from_bytes/to_bytes are the network-order doors.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "common/net/big_endian.hpp"

namespace isthmus {

class Ipv4Address {
 public:
  constexpr Ipv4Address() = default;
  constexpr explicit Ipv4Address(std::uint32_t host_order) : value_(host_order) {}
  constexpr Ipv4Address(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d)
      : value_(std::uint32_t{a} << 24 | std::uint32_t{b} << 16 | std::uint32_t{c} << 8 | d) {}

  // Strict dotted quad: four decimal numbers 0-255, no leading zeros, nothing around them.
  [[nodiscard]] static std::optional<Ipv4Address> parse(std::string_view text);
  [[nodiscard]] static Ipv4Address load(const std::uint8_t* p) { return Ipv4Address{load_be32(p)}; }
  void store(std::uint8_t* p) const { store_be32(p, value_); }

  [[nodiscard]] constexpr std::uint32_t value() const { return value_; }
  [[nodiscard]] std::string to_string() const;
  constexpr auto operator<=>(const Ipv4Address&) const = default;

 private:
  std::uint32_t value_ = 0;
};

}  // namespace isthmus

template <>
struct std::hash<isthmus::Ipv4Address> {
  std::size_t operator()(isthmus::Ipv4Address a) const noexcept {
    return std::hash<std::uint32_t>{}(a.value());
  }
};
