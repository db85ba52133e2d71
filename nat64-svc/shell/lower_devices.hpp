// SPDX-License-Identifier: Apache-2.0
// The devices under a VLAN, a macvlan, a bond. The kernel merges the TCP segments that a network card
// received (generic receive offload) before a device on top of it gets them, and spares only a card that has
// an XDP program itself. Ours is at the upper device then, and a merged packet fits no frame of AF_XDP.
#pragma once

#include <functional>
#include <map>
#include <vector>

#include "nat64-svc/shell/netlink/network_view.hpp"

namespace isthmus::nat64 {

// Pure: those of `interfaces` below the one of this index, at any depth, that merge segments; each once.
[[nodiscard]] std::vector<int> merging_below(int index, const std::map<int, Interface>& interfaces,
                                             const std::function<bool(int)>& merges);

}  // namespace isthmus::nat64
