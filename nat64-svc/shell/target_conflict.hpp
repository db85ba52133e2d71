// SPDX-License-Identifier: Apache-2.0
// Gateway mode: what a policy or an allocation must not take from the kernel of this machine. Pure.
#pragma once

#include <optional>
#include <set>

#include "common/config/policy.hpp"
#include "nat64-svc/shell/netlink/network_view.hpp"

namespace isthmus::nat64 {

// The prefixes and pool addresses that packets are taken for; none of them may be an address of this machine
// itself, whose SSH and BGP would be taken too. `arp_interface`: where we answer ARP for the addresses, which
// must not be those of routers there. Nothing, or the first conflict with its remedy.
[[nodiscard]] std::optional<Violation> target_conflict(const NetworkView& view,
                                                       const std::set<Ipv6Prefix>& prefixes,
                                                       const std::set<Ipv4Prefix>& addresses,
                                                       std::optional<int> arp_interface);

}  // namespace isthmus::nat64
