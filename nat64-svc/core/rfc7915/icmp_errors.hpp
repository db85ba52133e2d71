// SPDX-License-Identifier: Apache-2.0
// RFC 7915 §4.2-4.3 and §5.2-5.3: an ICMP error and the packet inside it. The result is written anew over the
// buffer, cut to what the family allows. Extensions (RFC 4884) go with it as they are, when the translated
// error may have them.
#pragma once

#include "nat64-svc/core/packet/parsed.hpp"
#include "nat64-svc/core/packet_buffer.hpp"
#include "nat64-svc/core/rfc7915/icmp_tables.hpp"
#include "nat64-svc/core/runtime.hpp"
#include "nat64-svc/core/tuple.hpp"

namespace isthmus::nat64 {

// The packet inside an ICMP error. `bytes` is the whole error; the checksum of the error is verified (RFC
// 5508 REQ-3). Refusals: kBadChecksum, kIcmpErrorBadInner.
[[nodiscard]] Result<Parsed6, Refusal> parse_inside(std::span<const std::uint8_t> bytes,
                                                    const Parsed6& outer);
[[nodiscard]] Result<Parsed4, Refusal> parse_inside(std::span<const std::uint8_t> bytes,
                                                    const Parsed4& outer);

// `inner4`/`inner6`: the addresses that the packet inside gets; `from`, `to` and `identification` are those
// of the error itself. Refusals: kUnsupportedIcmp, kNoRoom.
[[nodiscard]] Result<void, Refusal> icmp_error_six_to_four(PacketBuffer& buffer, const Parsed6& outer,
                                                           const Parsed6& inner, Ipv4Address from,
                                                           Ipv4Address to, const Tuple4& inner4,
                                                           const Nat64Policy& policy, PathMtu path,
                                                           std::uint16_t identification);
[[nodiscard]] Result<void, Refusal> icmp_error_four_to_six(PacketBuffer& buffer, const Parsed4& outer,
                                                           const Parsed4& inner, const Ipv6Address& from,
                                                           const Ipv6Address& to, const Tuple6& inner6,
                                                           const Nat64Policy& policy, PathMtu path);

}  // namespace isthmus::nat64
