// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/node/node_policy.hpp"

#include <algorithm>

#include "common/rfc6052/embed.hpp"

namespace isthmus::nat64 {
namespace {

constexpr Ipv4Prefix kLinkLocal{Ipv4Address{169, 254, 0, 0}, 16};

}  // namespace

Policy policy_for(PoolKind kind, const Policy& policy) {
  Policy own = policy;
  std::erase_if(own.pools, [&](const Pool& pool) { return pool.kind != kind; });
  if (kind == PoolKind::kNodeLocal) own.nat64.mss_clamp = true;
  return own;
}

Allocation allocation_for(PoolKind kind, const Policy& policy, Allocation allocation) {
  std::erase_if(allocation.addresses, [&](const LeasedAddress& lease) {
    const auto pool = std::ranges::find(policy.pools, lease.pool, &Pool::name);
    const bool other = pool != policy.pools.end() && pool->kind != kind;
    return kind == PoolKind::kNodeLocal || other;
  });
  return allocation;
}

std::vector<Ipv4Prefix> pool_prefixes(const Policy& policy) {
  std::vector<Ipv4Prefix> all;
  for (const auto& pool : policy.pools) all.insert(all.end(), pool.addresses.begin(), pool.addresses.end());
  return all;
}

std::string pool_conflict(const NetworkView& view, const std::vector<Ipv4Prefix>& pools, int own_interface) {
  constexpr const char* kRemedy = ": give the NODE_LOCAL pool another private range (pools[].addresses)";
  for (const auto& pool : pools) {
    for (const auto& [index, interface] : view.interfaces()) {
      for (const auto& address : interface.addresses4) {
        if (pool.contains(address)) {
          return "pool " + pool.to_string() + " contains this node's own address " + address.to_string() +
                 kRemedy;
        }
      }
    }
    for (const auto& [prefix, route] : view.routes_overlapping(pool)) {
      const bool ours = refuses(route.kind) || route.interface == own_interface;
      const bool zeroconf = prefix == kLinkLocal && !route.gateway;
      if (ours || prefix.length() == 0 || zeroconf) continue;
      return "pool " + pool.to_string() + " overlaps this node's route " + prefix.to_string() + kRemedy;
    }
  }
  return {};
}

void set_own_addresses(RuntimeOptions& options, const Policy& policy) {
  const auto pools = pool_prefixes(policy);
  if (pools.empty()) return;
  const auto& first = pools.front();
  options.own4 = Ipv4Address{first.address().value() + (first.size() > 1 ? 1 : 0)};
  if (policy.translation_prefixes.empty()) return;
  const auto& prefix = policy.translation_prefixes.front();
  const auto pref64 = Pref64::make(
      prefix.assignment == Assignment::kShared ? prefix.prefix : Ipv6Prefix{prefix.prefix.address(), 96});
  if (pref64) options.own6 = embed(*pref64, options.own4);
}

}  // namespace isthmus::nat64
