// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/netlink/network_view.hpp"

#include <algorithm>

namespace isthmus::nat64 {
namespace {

Reach reach_of(RouteKind kind) {
  switch (kind) {
    case RouteKind::kUnicast:
      return Reach::kUnresolved;  // so far
    case RouteKind::kLocal:
      return Reach::kLocal;
    case RouteKind::kUnreachable:
      return Reach::kUnreachable;
    case RouteKind::kProhibited:
      return Reach::kProhibited;
    case RouteKind::kBlackhole:
      break;
  }
  return Reach::kBlackhole;
}

}  // namespace

void NetworkView::add(const Interface& interface) {
  own6_.insert(interface.addresses6.begin(), interface.addresses6.end());
  interfaces_[interface.index] = interface;
}

const Route* NetworkView::uplink_route4() const {
  const auto usable = [&](const Route& route) {
    const auto* interface = this->interface(route.interface);
    return route.kind == RouteKind::kUnicast && interface != nullptr && interface->running;
  };
  const auto* route = routes_->four.exactly(Ipv4Prefix{});
  if (route != nullptr && usable(*route)) return route;
  const Route* found = nullptr;
  routes_->four.for_each([&](const Ipv4Prefix&, const Route& other) {
    const bool by_router = other.gateway && std::holds_alternative<Ipv4Address>(*other.gateway);
    if (by_router && usable(other)) found = &other;
  });
  return found;
}

std::vector<std::pair<Ipv4Prefix, Route>> NetworkView::routes_overlapping(const Ipv4Prefix& prefix) const {
  std::vector<std::pair<Ipv4Prefix, Route>> found;
  routes_->four.for_each([&](const Ipv4Prefix& other, const Route& route) {
    if (other.overlaps(prefix)) found.emplace_back(other, route);
  });
  return found;
}

void NetworkView::add_neighbour(int interface, const IpAddress& address, const MacAddress& mac,
                                bool needs_refresh) {
  if (mac.is_group()) return;
  auto& neighbour = neighbours_[{interface, address}];
  neighbour.mac = mac;
  neighbour.needs_refresh = needs_refresh;
}

NextHop NetworkView::resolve(const Route* route, const IpAddress& destination) const {
  NextHop hop;
  if (route == nullptr) return hop;
  hop.reach = reach_of(route->kind);
  if (hop.reach != Reach::kUnresolved) return hop;
  hop.interface = route->interface;
  const auto* interface = this->interface(route->interface);
  hop.mtu = interface != nullptr ? interface->mtu : 0;
  if (route->mtu != 0 && (hop.mtu == 0 || route->mtu < hop.mtu)) hop.mtu = route->mtu;
  hop.neighbour = route->gateway.value_or(destination);
  const auto it = neighbours_.find({hop.interface, hop.neighbour});
  if (it == neighbours_.end()) return hop;
  if (it->second.needs_refresh && !it->second.used.load(std::memory_order_relaxed)) {
    it->second.used.store(true, std::memory_order_relaxed);
  }
  hop.reach = Reach::kReady;
  hop.stale = it->second.needs_refresh;
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
