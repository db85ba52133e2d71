// SPDX-License-Identifier: Apache-2.0
// The kernel's interfaces, routes and neighbours at one moment, as a value: where a packet goes next. Built
// by NetlinkWatcher, immutable afterwards, shared by the workers. Pure: no netlink in here.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

#include "common/base/enum_names.hpp"
#include "common/net/prefix.hpp"
#include "nat64-svc/shell/netlink/mac_address.hpp"

namespace isthmus::nat64 {

using IpAddress = std::variant<Ipv4Address, Ipv6Address>;

struct Interface {
  int index = 0;
  MacAddress mac;
  std::uint32_t mtu = 0;
  bool up = false;         // its operator says so
  bool running = false;    // and it has a carrier
  std::string kind;        // of a virtual one: "veth", "bond", "vlan", ...
  std::uint16_t vlan = 0;  // of a VLAN (802.1Q) whose parent is in this network namespace: its number; else 0
  int lower = 0;           // of a VLAN, a macvlan: the link below, where it is in this namespace; else 0
  int master = 0;          // of a member of a bond or bridge: that; else 0
  std::vector<Ipv4Address> addresses4;
  std::vector<Ipv6Address> addresses6;  // global ones only
  bool operator==(const Interface&) const = default;
};

enum class RouteKind : std::uint8_t { kUnicast, kLocal, kUnreachable, kProhibited, kBlackhole };
// Leads nowhere, by its operator's will.
[[nodiscard]] constexpr bool refuses(RouteKind kind) {
  return kind != RouteKind::kUnicast && kind != RouteKind::kLocal;
}

struct Route {
  RouteKind kind = RouteKind::kUnicast;
  std::uint32_t metric = 0;
  int interface = 0;
  std::optional<IpAddress> gateway;  // none: the destination is on the link
  std::uint32_t mtu = 0;             // of the route itself (ip route ... mtu N); 0: the interface's
};

enum class Reach : std::uint8_t {
  kReady,
  kUnresolved,  // the next hop's link address is not known (yet)
  kNoRoute,
  kLocal,        // an address of this machine, or a broadcast address of one of its links
  kUnreachable,  // these three: the route is of that kind
  kProhibited,
  kBlackhole,
};

struct NextHop {
  Reach reach = Reach::kNoRoute;
  int interface = 0;
  IpAddress neighbour;    // valid for kReady and kUnresolved
  MacAddress mac;         // valid for kReady
  bool stale = false;     // kReady, but each use of it is to be told (NUD_STALE)
  std::uint32_t mtu = 0;  // of the route, else of its interface; 0: unknown
};

// Longest prefix match: one hash table per prefix length in use, longest first.
template <class Address, class Prefix>
class RouteTable {
 public:
  // Of two routes to one prefix the one with the lower metric stays.
  void add(const Prefix& prefix, const Route& route) {
    auto [it, fresh] = lengths_[prefix.length()].try_emplace(prefix.address(), route);
    if (!fresh && route.metric < it->second.metric) it->second = route;
  }
  [[nodiscard]] const Route* find(const Address& address) const {
    for (const auto& [length, table] : lengths_) {
      const auto it = table.find(Prefix{address, length}.address());
      if (it != table.end()) return &it->second;
    }
    return nullptr;
  }
  [[nodiscard]] const Route* exactly(const Prefix& prefix) const {
    const auto table = lengths_.find(prefix.length());
    if (table == lengths_.end()) return nullptr;
    const auto it = table->second.find(prefix.address());
    return it == table->second.end() ? nullptr : &it->second;
  }
  template <class Use>
  void for_each(Use&& use) const {
    for (const auto& [length, table] : lengths_) {
      for (const auto& [address, route] : table) use(Prefix{address, length}, route);
    }
  }

 private:
  std::map<unsigned, std::unordered_map<Address, Route>, std::greater<>> lengths_;
};

struct Routes {
  RouteTable<Ipv4Address, Ipv4Prefix> four;
  RouteTable<Ipv6Address, Ipv6Prefix> six;
};

class NetworkView {
 public:
  // Routes are shared between views: they may be a million and change more rarely than neighbours.
  explicit NetworkView(std::shared_ptr<const Routes> routes = std::make_shared<const Routes>())
      : routes_(std::move(routes)) {}
  [[nodiscard]] const std::shared_ptr<const Routes>& routes() const { return routes_; }

  void add(const Interface& interface);
  // `needs_refresh`: the kernel would verify it at its next use (NUD_STALE). The link address of a group is
  // nobody's (RFC 1812 §3.3.2).
  void add_neighbour(int interface, const IpAddress& address, const MacAddress& mac, bool needs_refresh);

  [[nodiscard]] const Interface* interface(int index) const {
    const auto it = interfaces_.find(index);
    return it == interfaces_.end() ? nullptr : &it->second;
  }
  [[nodiscard]] const std::map<int, Interface>& interfaces() const { return interfaces_; }
  // Marks a stale neighbour as used: the watcher has the kernel verify it. Any thread.
  [[nodiscard]] NextHop next_hop(Ipv4Address destination) const {
    return resolve(routes_->four.find(destination), destination);
  }
  [[nodiscard]] NextHop next_hop(const Ipv6Address& destination) const {
    return resolve(routes_->six.find(destination), destination);
  }

  // The best route to exactly this prefix; null: there is none.
  [[nodiscard]] const Route* exact_route(const Ipv4Prefix& prefix) const {
    return routes_->four.exactly(prefix);
  }
  [[nodiscard]] const Route* exact_route(const Ipv6Prefix& prefix) const {
    return routes_->six.exactly(prefix);
  }
  // The way to the IPv4 internet: the default route, else a route by some IPv4 router. Null: there is none.
  [[nodiscard]] const Route* uplink_route4() const;
  // Slow: looks at every route.
  [[nodiscard]] std::vector<std::pair<Ipv4Prefix, Route>> routes_overlapping(const Ipv4Prefix& prefix) const;
  // Slow, too.
  template <class Use>
  void for_each_route4(Use&& use) const {
    routes_->four.for_each([&](const Ipv4Prefix&, const Route& route) { use(route); });
  }
  // A global address of this machine.
  [[nodiscard]] bool is_own(const Ipv6Address& address) const { return own6_.contains(address); }

  struct NeighbourKey {
    int interface = 0;
    IpAddress address;
    bool operator==(const NeighbourKey&) const = default;
  };
  // Stale neighbours used since the last call.
  [[nodiscard]] std::vector<NeighbourKey> take_used_stale() const;

 private:
  struct Neighbour {
    MacAddress mac;
    bool needs_refresh = false;
    mutable std::atomic<bool> used{false};
  };
  struct KeyHash {
    std::size_t operator()(const NeighbourKey& key) const noexcept {
      constexpr std::size_t kSpread = 0x9e3779b97f4a7c15;
      return std::hash<IpAddress>{}(key.address) ^ static_cast<std::size_t>(key.interface) * kSpread;
    }
  };
  [[nodiscard]] NextHop resolve(const Route* route, const IpAddress& destination) const;

  std::map<int, Interface> interfaces_;
  std::unordered_set<Ipv6Address> own6_;
  std::shared_ptr<const Routes> routes_;
  std::unordered_map<NeighbourKey, Neighbour, KeyHash> neighbours_;
};

}  // namespace isthmus::nat64
