// SPDX-License-Identifier: Apache-2.0
#include "common/control/standalone.hpp"

namespace isthmus {
namespace {

constexpr const char* kLocal = "local";

std::vector<NodePrefix> first_prefixes(const Policy& policy) {
  std::vector<NodePrefix> prefixes;
  for (const auto& parent : policy.translation_prefixes) {
    if (parent.assignment != Assignment::kPerNode) continue;
    if (const auto first = Pref64::make(Ipv6Prefix{parent.prefix.address(), 96})) {
      prefixes.push_back({parent.name, *first, kLocal});
    }
  }
  return prefixes;
}

}  // namespace

Allocation standalone_allocation(const Policy& policy) {
  Allocation allocation;
  allocation.node_prefixes = first_prefixes(policy);
  for (const auto& pool : policy.pools) {
    for (const auto& prefix : pool.addresses) {
      for (std::uint64_t i = 0; i < prefix.size(); ++i) {
        LeasedAddress lease;
        lease.address = Ipv4Address{prefix.address().value() + static_cast<std::uint32_t>(i)};
        lease.pool = pool.name;
        allocation.addresses.push_back(std::move(lease));
      }
    }
  }
  return allocation;
}

HealthySet standalone_health(const Policy& policy) {
  HealthySet health;
  health.nodes.push_back({kLocal, first_prefixes(policy)});
  return health;
}

}  // namespace isthmus
