// SPDX-License-Identifier: Apache-2.0
// How many receive queues an interface has: each needs an AF_XDP socket, or its packets are lost.
#pragma once

#include <cstdint>
#include <string>

namespace isthmus::nat64 {

// At least 1; 1 where the driver does not tell.
[[nodiscard]] std::uint32_t queue_count(const std::string& interface);

}  // namespace isthmus::nat64
