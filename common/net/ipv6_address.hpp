// SPDX-License-Identifier: Apache-2.0
// An IPv6 address as a value: sixteen bytes in network order, with the two halves available as host-order
// integers for hashing, comparison and prefix tests.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "common/net/big_endian.hpp"

namespace isthmus {

class Ipv6Address {
 public:
  using Bytes = std::array<std::uint8_t, 16>;
  constexpr Ipv6Address() = default;
  constexpr explicit Ipv6Address(const Bytes& network_order) : bytes_(network_order) {}
  [[nodiscard]] static Ipv6Address from_halves(std::uint64_t high, std::uint64_t low) {
    Ipv6Address a;
    store_be64(a.bytes_.data(), high);
    store_be64(a.bytes_.data() + 8, low);
    return a;
  }

  // RFC 4291 text, "::" and the dotted-quad tail included; no zone, no brackets.
  [[nodiscard]] static std::optional<Ipv6Address> parse(std::string_view text);
  [[nodiscard]] static Ipv6Address load(const std::uint8_t* p) {
    Ipv6Address a;
    std::memcpy(a.bytes_.data(), p, 16);
    return a;
  }
  void store(std::uint8_t* p) const { std::memcpy(p, bytes_.data(), 16); }

  [[nodiscard]] constexpr const Bytes& bytes() const { return bytes_; }
  [[nodiscard]] std::uint64_t high() const { return load_be64(bytes_.data()); }
  [[nodiscard]] std::uint64_t low() const { return load_be64(bytes_.data() + 8); }
  [[nodiscard]] std::string to_string() const;  // RFC 5952
  [[nodiscard]] constexpr bool is_multicast() const { return bytes_[0] == 0xff; }
  [[nodiscard]] constexpr bool is_link_local() const {
    return bytes_[0] == 0xfe && (bytes_[1] & 0xc0) == 0x80;
  }
  [[nodiscard]] bool is_unspecified() const { return high() == 0 && low() == 0; }
  [[nodiscard]] bool is_loopback() const { return high() == 0 && low() == 1; }
  constexpr auto operator<=>(const Ipv6Address&) const = default;

 private:
  Bytes bytes_{};
};

}  // namespace isthmus

// For maps of configuration and tests. Tables that a peer can fill use a keyed hash instead
// (common/net/keyed_hash.hpp).
template <>
struct std::hash<isthmus::Ipv6Address> {
  std::size_t operator()(const isthmus::Ipv6Address& a) const noexcept {
    return std::hash<std::uint64_t>{}(a.high() * 0x9e3779b97f4a7c15ULL ^ a.low());
  }
};
