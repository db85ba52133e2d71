// SPDX-License-Identifier: Apache-2.0
// What of the policy concerns this node, by the mode it runs in, and whether it fits the node. Pure.
//
// One policy serves a mixed fleet: gateways use LEASED pools, nodes in node mode NODE_LOCAL ones.
#pragma once

#include <string>
#include <vector>

#include "common/config/allocation.hpp"
#include "common/config/policy.hpp"
#include "nat64-svc/core/runtime.hpp"
#include "nat64-svc/shell/netlink/network_view.hpp"

namespace isthmus::nat64 {

// The policy without the pools of the other mode. Node mode clamps the MSS whatever the policy says: between
// pods of any MTU and the node's uplink nobody else does.
[[nodiscard]] Policy policy_for(PoolKind kind, const Policy& policy);

// The allocation without the addresses of the other mode's pools: node mode has its pools from the policy.
[[nodiscard]] Allocation allocation_for(PoolKind kind, const Policy& policy, Allocation allocation);

// Every address range of the pools.
[[nodiscard]] std::vector<Ipv4Prefix> pool_prefixes(const Policy& policy);

// Empty, or a sentence with the remedy: the pool must not be anywhere else in the node's addresses and
// routes. Default routes do not count, nor do routes into `own_interface` and refusing ones (ours), nor
// 169.254.0.0/16 on a link (RFC 3927), of which the default pool is a part.
[[nodiscard]] std::string pool_conflict(const NetworkView& view, const std::vector<Ipv4Prefix>& pools,
                                        int own_interface);

// Sources of the ICMP errors that the translator makes: the first usable pool address, and the same embedded
// in the first translation prefix. Both are routed back to it, so strict reverse path filters accept them.
void set_own_addresses(RuntimeOptions& options, const Policy& policy);

}  // namespace isthmus::nat64
