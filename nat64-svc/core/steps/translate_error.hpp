// SPDX-License-Identifier: Apache-2.0
// RFC 6146 §3.5.3: an ICMP error of another's becomes one of the other family, as a part of the conversation
// that the packet inside it belongs to.
#pragma once

#include "nat64-svc/core/packet_buffer.hpp"
#include "nat64-svc/core/rfc7915/icmp_errors.hpp"
#include "nat64-svc/core/steps/filter_and_update.hpp"

namespace isthmus::nat64 {

// `identification`: of the IPv4 packet. Refusals: kUnsupportedIcmp, kNoRoom.
[[nodiscard]] Result<void, Refusal> translate_error(const Runtime& runtime, PacketBuffer& buffer,
                                                    const Parsed6& outer, const Parsed6& inner,
                                                    const Flow& flow, PathMtu path,
                                                    std::uint16_t identification);
[[nodiscard]] Result<void, Refusal> translate_error(const Runtime& runtime, PacketBuffer& buffer,
                                                    const Parsed4& outer, const Parsed4& inner,
                                                    const Flow& flow, PathMtu path);

}  // namespace isthmus::nat64
