// SPDX-License-Identifier: Apache-2.0
// What the driver of an interface says of itself, as `ethtool` shows it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace isthmus::nat64 {

// Receive queues: each needs an AF_XDP socket, or its packets are lost. At least 1; 1 where the driver does
// not tell.
[[nodiscard]] std::uint32_t queue_count(const std::string& interface);
// The same; nothing where the driver does not tell, or not now.
[[nodiscard]] std::optional<std::uint32_t> known_queue_count(const std::string& interface);

// Does it take the VLAN tag off frames before anybody sees them ("rx-vlan-offload: on")?
[[nodiscard]] bool takes_vlan_tags_off(const std::string& interface);

// Does the kernel merge what it received into larger packets ("generic-receive-offload: on")?
[[nodiscard]] bool merges_segments(const std::string& interface);

}  // namespace isthmus::nat64
