// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/core/reverse.hpp"

#include <algorithm>
#include <array>
#include <string>

namespace isthmus::dns64 {
namespace {

constexpr std::uint8_t kIp6Arpa[] = {3, 'i', 'p', '6', 4, 'a', 'r', 'p', 'a', 0};
constexpr std::size_t kNibbles = 32;

std::optional<std::uint8_t> nibble_of(std::uint8_t c) {
  if (c >= '0' && c <= '9') return static_cast<std::uint8_t>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<std::uint8_t>(c - 'a' + 10);
  return std::nullopt;
}

}  // namespace

std::optional<Ipv6Address> address_of_ip6_arpa(NameView name) {
  if (name.size() != 2 * kNibbles + sizeof kIp6Arpa) return std::nullopt;
  if (!std::equal(name.begin() + 2 * kNibbles, name.end(), kIp6Arpa)) return std::nullopt;
  Ipv6Address::Bytes bytes{};
  for (std::size_t i = 0; i < kNibbles; ++i) {  // the last nibble of the address comes first
    if (name[2 * i] != 1) return std::nullopt;
    const auto nibble = nibble_of(name[2 * i + 1]);
    if (!nibble) return std::nullopt;
    auto& byte = bytes[15 - i / 2];
    byte = static_cast<std::uint8_t>(i % 2 == 0 ? *nibble : byte | *nibble << 4);
  }
  return Ipv6Address{bytes};
}

Name in_addr_arpa_name(Ipv4Address address) {
  std::string text;
  for (unsigned shift = 0; shift < 32; shift += 8)
    text += std::to_string(address.value() >> shift & 0xff) + ".";
  return Name::parse(text + "in-addr.arpa.").value_or(Name{});
}

}  // namespace isthmus::dns64
