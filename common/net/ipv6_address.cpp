// SPDX-License-Identifier: Apache-2.0
#include "common/net/ipv6_address.hpp"

#include <arpa/inet.h>

#include <cstdio>

namespace isthmus {

std::optional<Ipv6Address> Ipv6Address::parse(std::string_view text) {
  // inet_pton is pure and strict (RFC 4291 §2.2); it only wants a terminated string.
  std::array<char, INET6_ADDRSTRLEN> buffer{};
  if (text.size() >= buffer.size()) return std::nullopt;
  std::memcpy(buffer.data(), text.data(), text.size());
  Bytes bytes{};
  if (inet_pton(AF_INET6, buffer.data(), bytes.data()) != 1) return std::nullopt;
  return Ipv6Address{bytes};
}

std::string Ipv6Address::to_string() const {
  // RFC 5952 §4: lower case, no leading zeros, the longest run of two or more zero groups shortened, first on
  // a tie.
  std::array<unsigned, 8> group{};
  for (std::size_t i = 0; i < 8; ++i) group[i] = load_be16(&bytes_[2 * i]);
  std::size_t best = 8;
  std::size_t best_length = 1;
  for (std::size_t i = 0; i < 8;) {
    std::size_t j = i;
    while (j < 8 && group[j] == 0) ++j;
    if (j - i > best_length) {
      best = i;
      best_length = j - i;
    }
    i = j == i ? i + 1 : j;
  }
  std::string out;
  for (std::size_t i = 0; i < 8; ++i) {
    if (i == best) {
      out += "::";
      i += best_length - 1;
      continue;
    }
    if (!out.empty() && out.back() != ':') out += ':';
    std::array<char, 8> text{};
    const int n = std::snprintf(text.data(), text.size(), "%x", group[i]);
    out.append(text.data(), static_cast<std::size_t>(n));
  }
  return out;
}

}  // namespace isthmus
