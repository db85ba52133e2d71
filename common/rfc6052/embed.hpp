// SPDX-License-Identifier: Apache-2.0
// RFC 6052 §2.2-2.3: IPv4-embedded IPv6 addresses, both ways.
#pragma once

#include <optional>

#include "common/net/ipv4_address.hpp"
#include "common/net/ipv6_address.hpp"
#include "common/rfc6052/pref64.hpp"

namespace isthmus {

// The IPv6 address that stands for `address` under `pref64`; the suffix is zero (§2.2).
[[nodiscard]] Ipv6Address embed(const Pref64& pref64, Ipv4Address address);

// The IPv4 address inside `address`, or nothing when it is not under `pref64` or its bits 64-71 are not zero
// (§2.2: they must be). The suffix is ignored, as §2.2 asks of receivers ("SHOULD ignore").
[[nodiscard]] std::optional<Ipv4Address> extract(const Pref64& pref64, const Ipv6Address& address);

// As above for an address known to match: where the four octets lie for a prefix of `length` bits (one of the
// six).
[[nodiscard]] Ipv4Address extract_octets(unsigned length, const Ipv6Address& address);

}  // namespace isthmus
