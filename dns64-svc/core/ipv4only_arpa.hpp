// SPDX-License-Identifier: Apache-2.0
// What is answered here and never asked upstream: ipv4only.arpa (RFC 7050, RFC 8880 §7) and the reverse names
// of its two addresses. Clients learn the translation prefix from it, so it is exempt from the exclusion of
// non-global and of excluded addresses.
#pragma once

#include "common/net/ipv4_address.hpp"
#include "dns64-svc/core/wire/name.hpp"

namespace isthmus::dns64 {

inline constexpr Ipv4Address kIpv4OnlyFirst{192, 0, 0, 170};
inline constexpr Ipv4Address kIpv4OnlySecond{192, 0, 0, 171};
// Seconds. Short enough that a site can change its prefix within a few minutes; clients ask again before it
// ends (RFC 7050 §3).
inline constexpr std::uint32_t kIpv4OnlyTtl = 600;

enum class LocalName : std::uint8_t { kNone, kIpv4OnlyArpa, kBelowIpv4OnlyArpa, kReverse };

// `name` in lower case.
[[nodiscard]] LocalName local_name(NameView name);
[[nodiscard]] NameView ipv4only_arpa_name();
// RDATA of the zone's SOA: mname, rname uncompressed, and the five numbers; the negative TTL is kIpv4OnlyTtl.
[[nodiscard]] std::span<const std::uint8_t> ipv4only_arpa_soa();

}  // namespace isthmus::dns64
