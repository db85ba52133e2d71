// SPDX-License-Identifier: Apache-2.0
// What the kernel's main table has of our routes (proto 110), asked from the kernel.
#pragma once

#include <algorithm>
#include <cstdint>
#include <set>
#include <string>

#include "common/base/result.hpp"
#include "common/net/prefix.hpp"

namespace isthmus::nat64 {

inline constexpr unsigned char kRouteProtocol = 110;  // `ip route show proto 110`

struct OwnRoutes {
  std::set<Ipv6Prefix> prefixes;
  std::set<Ipv4Prefix> addresses;
};

enum class OwnRouteKind : std::uint8_t { kUnreachable, kUnicast };

// The kernel picks them out of its table where it can, so a full BGP table costs little.
[[nodiscard]] Result<OwnRoutes, std::string> read_own_routes(OwnRouteKind kind);

// How the kernel's routes differ from those that we put there.
struct RouteDifference {
  std::size_t missing = 0;     // put back
  std::size_t unexpected = 0;  // taken away
  RouteDifference& operator+=(const RouteDifference& other) {
    missing += other.missing;
    unexpected += other.unexpected;
    return *this;
  }
};

template <class Prefix>
[[nodiscard]] RouteDifference difference(const std::set<Prefix>& wanted, const std::set<Prefix>& kernel) {
  const auto lacks = [](const auto& set) {
    return [&set](const Prefix& each) { return !set.contains(each); };
  };
  return {static_cast<std::size_t>(std::ranges::count_if(wanted, lacks(kernel))),
          static_cast<std::size_t>(std::ranges::count_if(kernel, lacks(wanted)))};
}

}  // namespace isthmus::nat64
