// SPDX-License-Identifier: Apache-2.0
#include "common/rfc6052/pref64.hpp"

namespace isthmus {

Pref64 Pref64::well_known() {
  static const Ipv6Address address = Ipv6Address::from_halves(0x0064ff9b00000000ULL, 0);
  return Pref64{Ipv6Prefix{address, 96}};
}

std::optional<Pref64> Pref64::make(const Ipv6Prefix& prefix) {
  switch (prefix.length()) {  // RFC 6052 §2.2: these six and no other
    case 32:
    case 40:
    case 48:
    case 56:
    case 64:
      return Pref64{prefix};
    case 96:
      // §2.2: bits 64 to 71 are reserved and must be zero, in the prefix itself too.
      if (prefix.address().bytes()[8] != 0) return std::nullopt;
      return Pref64{prefix};
    default:
      return std::nullopt;
  }
}

std::optional<Pref64> Pref64::parse(std::string_view text) {
  const auto prefix = Ipv6Prefix::parse(text);
  return prefix ? make(*prefix) : std::nullopt;
}

}  // namespace isthmus
