// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/core/wire/rdata.hpp"

namespace isthmus::dns64 {

RdataLayout rdata_layout(std::uint16_t type) {
  switch (type) {
    case rr::kNs:
    case rr::kMd:
    case rr::kMf:
    case rr::kCname:
    case rr::kMb:
    case rr::kMg:
    case rr::kMr:
    case rr::kPtr:
      return {.fixed = 0, .names = 1, .strings = false, .compressible = true, .tail = 0};
    case rr::kSoa:
      return {.fixed = 0, .names = 2, .strings = false, .compressible = true, .tail = 20};
    case rr::kMinfo:
      return {.fixed = 0, .names = 2, .strings = false, .compressible = true, .tail = 0};
    case rr::kMx:
      return {.fixed = 2, .names = 1, .strings = false, .compressible = true, .tail = 0};
    // RFC 3597 §4: readers must undo compression in these, writers must not use it.
    case rr::kDname:
      return {.fixed = 0, .names = 1, .strings = false, .compressible = false, .tail = 0};
    case rr::kRp:
      return {.fixed = 0, .names = 2, .strings = false, .compressible = false, .tail = 0};
    case rr::kAfsdb:
    case rr::kRt:
    case rr::kKx:
      return {.fixed = 2, .names = 1, .strings = false, .compressible = false, .tail = 0};
    case rr::kPx:
      return {.fixed = 2, .names = 2, .strings = false, .compressible = false, .tail = 0};
    case rr::kSrv:
      return {.fixed = 6, .names = 1, .strings = false, .compressible = false, .tail = 0};
    case rr::kNaptr:
      return {.fixed = 4, .names = 1, .strings = true, .compressible = false, .tail = 0};
    default:
      return {};
  }
}

std::optional<Ipv4Address> read_a(std::span<const std::uint8_t> rdata) {
  if (rdata.size() != 4) return std::nullopt;
  return Ipv4Address::load(rdata.data());
}

std::optional<Ipv6Address> read_aaaa(std::span<const std::uint8_t> rdata) {
  if (rdata.size() != 16) return std::nullopt;
  return Ipv6Address::load(rdata.data());
}

}  // namespace isthmus::dns64
