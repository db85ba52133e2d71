// SPDX-License-Identifier: Apache-2.0
#include "common/net/special_ranges.hpp"

#include <algorithm>
#include <array>

namespace isthmus {
namespace {

// "Globally reachable: false" in IANA's registry, with multicast and the reserved class added. 192.0.0.9,
// 192.0.0.10 are global exceptions inside 192.0.0.0/24; 192.88.99.0/24 (6to4 relay) is deprecated and never a
// destination.
constexpr std::array kNonGlobal{
    Ipv4Prefix{Ipv4Address{0, 0, 0, 0}, 8},        // "this network", RFC 791
    Ipv4Prefix{Ipv4Address{10, 0, 0, 0}, 8},       // private, RFC 1918
    Ipv4Prefix{Ipv4Address{100, 64, 0, 0}, 10},    // shared address space, RFC 6598
    Ipv4Prefix{Ipv4Address{127, 0, 0, 0}, 8},      // loopback, RFC 1122
    Ipv4Prefix{Ipv4Address{169, 254, 0, 0}, 16},   // link local, RFC 3927
    Ipv4Prefix{Ipv4Address{172, 16, 0, 0}, 12},    // private, RFC 1918
    Ipv4Prefix{Ipv4Address{192, 0, 0, 0}, 24},     // IETF protocol assignments, RFC 6890
    Ipv4Prefix{Ipv4Address{192, 0, 2, 0}, 24},     // TEST-NET-1, RFC 5737
    Ipv4Prefix{Ipv4Address{192, 88, 99, 0}, 24},   // 6to4 relay anycast, RFC 7526
    Ipv4Prefix{Ipv4Address{192, 168, 0, 0}, 16},   // private, RFC 1918
    Ipv4Prefix{Ipv4Address{198, 18, 0, 0}, 15},    // benchmarking, RFC 2544
    Ipv4Prefix{Ipv4Address{198, 51, 100, 0}, 24},  // TEST-NET-2, RFC 5737
    Ipv4Prefix{Ipv4Address{203, 0, 113, 0}, 24},   // TEST-NET-3, RFC 5737
    Ipv4Prefix{Ipv4Address{224, 0, 0, 0}, 4},      // multicast, RFC 5771
    Ipv4Prefix{Ipv4Address{240, 0, 0, 0}, 4},      // reserved and limited broadcast, RFC 1112
};

}  // namespace

bool is_non_global(Ipv4Address address) {
  if (address == Ipv4Address{192, 0, 0, 9} || address == Ipv4Address{192, 0, 0, 10}) return false;
  return std::ranges::any_of(kNonGlobal, [&](const Ipv4Prefix& p) { return p.contains(address); });
}

}  // namespace isthmus
