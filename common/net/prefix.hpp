// SPDX-License-Identifier: Apache-2.0
// Address prefixes whose host bits are zero by construction: "192.0.2.1/24" is not a prefix and parse says
// so.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/net/ipv4_address.hpp"
#include "common/net/ipv6_address.hpp"

namespace isthmus {

class Ipv4Prefix {
 public:
  constexpr Ipv4Prefix() = default;  // 0.0.0.0/0
  // Host bits of `address` are cleared. length 0-32.
  constexpr Ipv4Prefix(Ipv4Address address, unsigned length)
      : address_(Ipv4Address{address.value() & mask(length)}), length_(static_cast<std::uint8_t>(length)) {}
  // "A/n", or a bare address for /32. Nothing else; host bits that are set are refused.
  [[nodiscard]] static std::optional<Ipv4Prefix> parse(std::string_view text);

  [[nodiscard]] constexpr Ipv4Address address() const { return address_; }
  [[nodiscard]] constexpr unsigned length() const { return length_; }
  [[nodiscard]] constexpr bool contains(Ipv4Address a) const {
    return (a.value() & mask(length_)) == address_.value();
  }
  [[nodiscard]] constexpr bool contains(const Ipv4Prefix& p) const {
    return p.length_ >= length_ && contains(p.address_);
  }
  [[nodiscard]] constexpr bool overlaps(const Ipv4Prefix& p) const {
    return contains(p) || p.contains(*this);
  }
  [[nodiscard]] constexpr std::uint64_t size() const { return std::uint64_t{1} << (32 - length_); }
  [[nodiscard]] constexpr Ipv4Address last() const { return Ipv4Address{address_.value() | ~mask(length_)}; }
  [[nodiscard]] std::string to_string() const;
  constexpr auto operator<=>(const Ipv4Prefix&) const = default;

 private:
  static constexpr std::uint32_t mask(unsigned length) {
    return length == 0 ? 0 : ~std::uint32_t{0} << (32 - length);
  }
  Ipv4Address address_;
  std::uint8_t length_ = 0;
};

class Ipv6Prefix {
 public:
  constexpr Ipv6Prefix() = default;  // ::/0
  // Host bits of `address` are cleared. length 0-128.
  Ipv6Prefix(const Ipv6Address& address, unsigned length);
  [[nodiscard]] static std::optional<Ipv6Prefix> parse(std::string_view text);

  [[nodiscard]] const Ipv6Address& address() const { return address_; }
  [[nodiscard]] unsigned length() const { return length_; }
  [[nodiscard]] bool contains(const Ipv6Address& a) const {
    return ((a.high() ^ address_.high()) & mask_high()) == 0 &&
           ((a.low() ^ address_.low()) & mask_low()) == 0;
  }
  [[nodiscard]] bool contains(const Ipv6Prefix& p) const {
    return p.length_ >= length_ && contains(p.address_);
  }
  [[nodiscard]] bool overlaps(const Ipv6Prefix& p) const { return contains(p) || p.contains(*this); }
  [[nodiscard]] std::string to_string() const;
  auto operator<=>(const Ipv6Prefix&) const = default;

 private:
  [[nodiscard]] std::uint64_t mask_high() const {
    return length_ == 0 ? 0 : length_ >= 64 ? ~std::uint64_t{0} : ~std::uint64_t{0} << (64 - length_);
  }
  [[nodiscard]] std::uint64_t mask_low() const {
    return length_ <= 64 ? 0 : length_ >= 128 ? ~std::uint64_t{0} : ~std::uint64_t{0} << (128 - length_);
  }
  Ipv6Address address_;
  std::uint8_t length_ = 0;
};

}  // namespace isthmus
