// SPDX-License-Identifier: Apache-2.0
// What keeps packets from coming and going by an interface of ours. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "nat64-svc/shell/netlink/network_view.hpp"
#include "nat64-svc/shell/worker.hpp"

namespace isthmus::nat64 {

// A sentence, or empty: nothing is wrong. `interface`: null when it is gone; `frame_size`: of the workers.
[[nodiscard]] std::string port_problem(const std::string& name, const Interface* interface,
                                       std::uint32_t frame_size);

// The same of the queues of a port's device, which have a socket each since the start. `now`: how many there
// are; nothing when that is not known.
[[nodiscard]] std::string queues_problem(const WorkerPort& port, std::optional<std::uint32_t> now);

}  // namespace isthmus::nat64
