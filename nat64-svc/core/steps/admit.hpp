// SPDX-License-Identifier: Apache-2.0
// May this client reach this server through us? RFC 6146 §3.5 and the policy. Asked for a packet without a
// session, and again for each session after the policy changed.
#pragma once

#include <span>

#include "nat64-svc/core/refusal.hpp"
#include "nat64-svc/core/runtime.hpp"

namespace isthmus::nat64 {

// RFC 6146 §3.5: such a source is dropped in silence, whatever else is wrong with its packet.
[[nodiscard]] bool is_in_a_prefix(const Runtime& runtime, const Ipv6Address& address);
// The same of the source of an IPv6 packet; false when there is not that much of it.
[[nodiscard]] bool comes_from_a_prefix(const Runtime& runtime, std::span<const std::uint8_t> packet);

// The IPv4 address of `server6`.
// Refusals: kBadAddress, kSourceInPrefix, kNotInPrefix, kBadEmbedding; answered: kClientNotAllowed,
// kOutsideIpv4Ranges, kNonGlobal, kExcluded.
[[nodiscard]] Result<Ipv4Address, Refusal> admit(const Runtime& runtime, const Ipv6Address& client6,
                                                 const Ipv6Address& server6);

// How `server4` looks to `client6`: under the first prefix that lets the two meet.
// Refusals: kExcluded, kNoPrefixForPeer.
[[nodiscard]] Result<Ipv6Address, Refusal> represent(const Runtime& runtime, const Ipv6Address& client6,
                                                     Ipv4Address server4);

}  // namespace isthmus::nat64
