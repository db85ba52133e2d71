// SPDX-License-Identifier: Apache-2.0
// A packet from an operator's words, for ExplainPacket. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/base/result.hpp"
#include "isthmus/v1/nat64_status.pb.h"

namespace isthmus::nat64 {

// The error says which field and what it should be. The packet has right lengths and checksums. ICMP is an
// echo request from a client (source's port: the identifier) or an echo reply from a server (destination's
// port).
[[nodiscard]] Result<std::vector<std::uint8_t>, std::string> described_packet(
    const v1::PacketDescription& words);

}  // namespace isthmus::nat64
