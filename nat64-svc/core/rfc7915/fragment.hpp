// SPDX-License-Identifier: Apache-2.0
// RFC 7915 §4.1, §5.1: what does not fit and may be fragmented.
#pragma once

#include "nat64-svc/core/extra_queue.hpp"
#include "nat64-svc/core/packet_buffer.hpp"
#include "nat64-svc/core/refusal.hpp"

namespace isthmus::nat64 {

// Both cut the packet in `buffer` into fragments of at most `mtu` bytes: the first stays, the others go to
// `extra`. The number of fragments. Refusal: kNoRoom; then nothing was queued.

// A packet that is a fragment already keeps its identification, others get `id`. `mtu`: 1280 or more.
[[nodiscard]] Result<std::uint32_t, Refusal> fragment_ipv6(PacketBuffer& buffer, std::uint32_t mtu,
                                                           std::uint32_t id, ExtraQueue& extra);

// A packet with an identification, without options and with DF clear. `mtu`: 68 or more (RFC 791).
[[nodiscard]] Result<std::uint32_t, Refusal> fragment_ipv4(PacketBuffer& buffer, std::uint32_t mtu,
                                                           ExtraQueue& extra);

}  // namespace isthmus::nat64
