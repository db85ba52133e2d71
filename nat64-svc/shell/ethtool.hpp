// SPDX-License-Identifier: Apache-2.0
// What the driver of an interface says of itself, as `ethtool` shows it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace isthmus::nat64 {

// Receive queues: each needs an AF_XDP socket, or its packets are lost. At least 1; 1 where nobody tells.
[[nodiscard]] std::uint32_t queue_count(const std::string& interface);
// The same; nothing where neither the driver nor /sys tells, or not now.
[[nodiscard]] std::optional<std::uint32_t> known_queue_count(const std::string& interface);
// Transmit queues: a socket of a queue without one sends nothing, and is not told so.
[[nodiscard]] std::optional<std::uint32_t> known_transmit_queue_count(const std::string& interface);
// Packets that the card has room for in each receive queue; 0 where the driver does not tell.
[[nodiscard]] std::uint32_t receive_ring_size(const std::string& interface);

// What is on as `ethtool -k` shows it.
// Does it take the VLAN tag off frames before anybody sees them ("rx-vlan-offload")?
[[nodiscard]] bool takes_vlan_tags_off(const std::string& interface);

// Does the card merge what it received into larger packets ("rx-gro-hw", "large-receive-offload")?
[[nodiscard]] bool merges_by_itself(const std::string& interface);
// Does it or the kernel ("generic-receive-offload")?
[[nodiscard]] bool merges_segments(const std::string& interface);

}  // namespace isthmus::nat64
