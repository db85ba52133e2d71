// SPDX-License-Identifier: Apache-2.0
#include "common/rfc6052/embed.hpp"

#include <array>
#include <cstddef>

namespace isthmus {
namespace {

// Figure 1 of RFC 6052 §2.2: the octets that follow the prefix, octet 8 (bits 64-71, "u") skipped.
constexpr std::array<std::size_t, 4> octet_positions(unsigned length) {
  std::array<std::size_t, 4> positions{};
  std::size_t at = length / 8;
  for (auto& position : positions) {
    if (at == 8) ++at;
    position = at++;
  }
  return positions;
}
static_assert(octet_positions(40) == std::array<std::size_t, 4>{5, 6, 7, 9});
static_assert(octet_positions(64) == std::array<std::size_t, 4>{9, 10, 11, 12});
static_assert(octet_positions(96) == std::array<std::size_t, 4>{12, 13, 14, 15});

}  // namespace

Ipv6Address embed(const Pref64& pref64, Ipv4Address address) {
  auto bytes = pref64.prefix().address().bytes();
  const auto positions = octet_positions(pref64.length());
  for (std::size_t i = 0; i < 4; ++i)
    bytes[positions[i]] = static_cast<std::uint8_t>(address.value() >> (24 - 8 * i));
  return Ipv6Address{bytes};
}

Ipv4Address extract_octets(unsigned length, const Ipv6Address& address) {
  if (length == 96) return Ipv4Address::load(address.bytes().data() + 12);
  const auto positions = octet_positions(length);
  std::uint32_t value = 0;
  for (const auto position : positions) value = value << 8 | address.bytes()[position];
  return Ipv4Address{value};
}

std::optional<Ipv4Address> extract(const Pref64& pref64, const Ipv6Address& address) {
  if (!pref64.contains(address) || address.bytes()[8] != 0) return std::nullopt;
  return extract_octets(pref64.length(), address);
}

}  // namespace isthmus
