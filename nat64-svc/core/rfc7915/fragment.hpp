// SPDX-License-Identifier: Apache-2.0
// RFC 7915 §4.1: what does not fit and may be fragmented.
#pragma once

#include "nat64-svc/core/extra_queue.hpp"
#include "nat64-svc/core/packet_buffer.hpp"
#include "nat64-svc/core/refusal.hpp"

namespace isthmus::nat64 {

// Cuts the IPv6 packet in `buffer` into fragments of at most `mtu` bytes: the first stays, the others go to
// `extra`. A packet that is a fragment already keeps its identification, others get `id`. The number of
// fragments. Refusal: kNoRoom; then nothing was queued.
[[nodiscard]] Result<std::uint32_t, Refusal> fragment_ipv6(PacketBuffer& buffer, std::uint32_t mtu,
                                                           std::uint32_t id, ExtraQueue& extra);

}  // namespace isthmus::nat64
