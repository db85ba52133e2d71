// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/netlink/network_view.hpp"

namespace isthmus::nat64 {

void NetworkView::add_neighbour(int interface, const IpAddress& address, const MacAddress& mac,
                                bool needs_refresh) {
  auto& neighbour = neighbours_[{interface, address}];
  neighbour.mac = mac;
  neighbour.needs_refresh = needs_refresh;
}

NextHop NetworkView::resolve(const Route* route, const IpAddress& destination) const {
  NextHop hop;
  if (route == nullptr) return hop;
  if (route->kind != RouteKind::kUnicast) {
    hop.reach = route->kind == RouteKind::kLocal ? Reach::kLocal : Reach::kRefused;
    return hop;
  }
  hop.reach = Reach::kUnresolved;
  hop.interface = route->interface;
  hop.neighbour = route->gateway.value_or(destination);
  const auto it = neighbours_.find({hop.interface, hop.neighbour});
  if (it == neighbours_.end()) return hop;
  if (it->second.needs_refresh && !it->second.used.load(std::memory_order_relaxed)) {
    it->second.used.store(true, std::memory_order_relaxed);
  }
  hop.reach = Reach::kReady;
  hop.mac = it->second.mac;
  return hop;
}

std::vector<NetworkView::NeighbourKey> NetworkView::take_used_stale() const {
  std::vector<NeighbourKey> used;
  for (const auto& [key, neighbour] : neighbours_) {
    if (neighbour.used.exchange(false, std::memory_order_relaxed)) used.push_back(key);
  }
  return used;
}

}  // namespace isthmus::nat64
