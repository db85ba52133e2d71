// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/usable_leases.hpp"

#include <algorithm>

namespace isthmus::nat64 {
namespace {

void earlier(std::optional<TimePoint>& slot, TimePoint at) {
  slot = slot ? std::min(*slot, at) : at;
}

}  // namespace

UsableLeases usable_leases(const Allocation& leased, const std::vector<LeaseDeadline>& deadlines,
                           TimePoint now) {
  UsableLeases usable{leased, std::nullopt, std::nullopt};
  usable.allocation.addresses.clear();
  for (auto lease : leased.addresses) {
    if (lease.on_expiry == OnExpiry::kStop) {
      const auto it = std::ranges::find(deadlines, lease.address, &LeaseDeadline::address);
      if (it == deadlines.end() || now >= it->stop) continue;
      if (now >= it->no_new_mappings) {
        lease.withdrawn = true;
        earlier(usable.next_change, it->stop);
      } else {
        earlier(usable.next_change, it->no_new_mappings);
      }
      earlier(usable.stop, it->stop);
    }
    usable.allocation.addresses.push_back(std::move(lease));
  }
  return usable;
}

}  // namespace isthmus::nat64
