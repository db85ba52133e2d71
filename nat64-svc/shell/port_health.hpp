// SPDX-License-Identifier: Apache-2.0
// What keeps packets from coming and going by an interface of ours. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "nat64-svc/shell/netlink/network_view.hpp"

namespace isthmus::nat64 {

// A sentence, or empty: nothing is wrong. `interface`: null when it is gone; `frame_size`: of the workers.
[[nodiscard]] std::string port_problem(const std::string& name, const Interface* interface,
                                       std::uint32_t frame_size);

// The same of a device's queues, which have a socket each since the start.
[[nodiscard]] std::string queues_problem(const std::string& device, std::size_t now, std::size_t at_start);

}  // namespace isthmus::nat64
