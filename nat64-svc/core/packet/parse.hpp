// SPDX-License-Identifier: Apache-2.0
// Bytes to Parsed. Total over any input.
//
// Refusals: kTruncated, kBadVersion, kBadHeader, kBadIpChecksum, kTooManyExtensions, kRoutingHeader
// (answered), kSourceRoute (answered), kUnsupportedProtocol (answered), kUnsupportedIcmp, kFragmentedIcmp,
// kTinyFragment.
#pragma once

#include <span>

#include "nat64-svc/core/packet/parsed.hpp"
#include "nat64-svc/core/refusal.hpp"

namespace isthmus::nat64 {

enum class Whole : bool {
  kYes,
  kInsideError,  // the packet in an ICMP error: may be cut off after 8 bytes of its transport header
};

[[nodiscard]] Result<Parsed6, Refusal> parse_ipv6(std::span<const std::uint8_t> bytes,
                                                  Whole whole = Whole::kYes);
[[nodiscard]] Result<Parsed4, Refusal> parse_ipv4(std::span<const std::uint8_t> bytes,
                                                  Whole whole = Whole::kYes);

}  // namespace isthmus::nat64
