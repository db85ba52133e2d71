// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/announce/announced_routes.hpp"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/netlink.h>
#include <netlink/route/link.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>
#include <spdlog/spdlog.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <cstring>

#include "nat64-svc/shell/netlink/kernel_routes.hpp"
#include "nat64-svc/shell/netlink/nl_address.hpp"

namespace isthmus::nat64 {
namespace {

using LinkPtr = std::unique_ptr<rtnl_link, decltype(&rtnl_link_put)>;
using RoutePtr = std::unique_ptr<rtnl_route, decltype(&rtnl_route_put)>;

template <class Prefix>
RoutePtr route_to(const Prefix& prefix, int interface) {
  RoutePtr route(rtnl_route_alloc(), rtnl_route_put);
  nl_addr* destination = to_nl_addr(prefix.address());
  nl_addr_set_prefixlen(destination, static_cast<int>(prefix.length()));
  rtnl_route_set_dst(route.get(), destination);
  nl_addr_put(destination);
  rtnl_route_set_table(route.get(), RT_TABLE_MAIN);
  rtnl_route_set_scope(route.get(), std::is_same_v<Prefix, Ipv4Prefix> ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE);
  rtnl_route_set_type(route.get(), RTN_UNICAST);
  rtnl_route_set_protocol(route.get(), kRouteProtocol);
  rtnl_route_set_priority(route.get(), kAnnouncedMetric);
  rtnl_nexthop* hop = rtnl_route_nh_alloc();
  rtnl_route_nh_set_ifindex(hop, interface);
  rtnl_route_add_nexthop(route.get(), hop);
  return route;
}

template <class Prefix>
Result<void, std::string> add_missing(nl_sock* socket, int interface, std::set<Prefix>& present,
                                      const std::set<Prefix>& wanted) {
  for (const auto& prefix : wanted) {
    if (present.contains(prefix)) continue;
    const int error = rtnl_route_add(socket, route_to(prefix, interface).get(), NLM_F_CREATE | NLM_F_REPLACE);
    if (error < 0)
      return failure("cannot announce " + prefix.to_string() + " by a route: " + nl_geterror(error));
    present.insert(prefix);
  }
  return {};
}

template <class Prefix>
void remove_others(nl_sock* socket, int interface, std::set<Prefix>& present,
                   const std::set<Prefix>& wanted) {
  std::erase_if(present, [&](const Prefix& prefix) {
    if (wanted.contains(prefix)) return false;
    if (const int error = rtnl_route_delete(socket, route_to(prefix, interface).get(), 0); error < 0)
      spdlog::warn("cannot withdraw the route to {}: {}", prefix.to_string(), nl_geterror(error));
    return true;
  });
}

}  // namespace

Result<std::unique_ptr<AnnouncedRoutes>, std::string> AnnouncedRoutes::open(const std::string& interface) {
  std::unique_ptr<AnnouncedRoutes> self(new AnnouncedRoutes);
  if (interface.empty() || interface.size() >= IFNAMSIZ)
    return failure("'" + interface + "' is no name for an interface: use at most 15 characters");
  self->device_.reset(::open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK));
  if (!self->device_.valid()) {
    return failure(std::string("cannot open /dev/net/tun: ") + std::strerror(errno) +
                   ": --announce-routes needs it (modprobe tun; in a container mount the device)");
  }
  ifreq request{};
  std::memcpy(request.ifr_name, interface.data(), interface.size());
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  if (ioctl(self->device_.get(), TUNSETIFF, &request) != 0) {
    return failure(
        "cannot make the interface " + interface + ": " + std::strerror(errno) +
        (errno == EBUSY ? ": there is one of that name, give another one" : ": grant CAP_NET_ADMIN"));
  }
  self->interface_ = static_cast<int>(if_nametoindex(interface.c_str()));
  self->socket_ = nl_socket_alloc();
  if (self->socket_ == nullptr || nl_connect(self->socket_, NETLINK_ROUTE) < 0)
    return failure(std::string("cannot speak to the kernel: netlink must be permitted to this process"));
  rtnl_link* found = nullptr;
  if (rtnl_link_get_kernel(self->socket_, self->interface_, nullptr, &found) < 0)
    return failure("the interface " + interface + " vanished at once");
  const LinkPtr link(found, rtnl_link_put);
  const LinkPtr up(rtnl_link_alloc(), rtnl_link_put);
  rtnl_link_set_flags(up.get(), IFF_UP);
  if (const int error = rtnl_link_change(self->socket_, link.get(), up.get(), 0); error < 0)
    return failure("cannot set " + interface + " up: " + nl_geterror(error));
  return self;
}

AnnouncedRoutes::~AnnouncedRoutes() {
  if (socket_ != nullptr) nl_socket_free(socket_);
}

Result<void, std::string> AnnouncedRoutes::add(const std::set<Ipv6Prefix>& prefixes,
                                               const std::set<Ipv4Prefix>& addresses) {
  if (auto added = add_missing(socket_, interface_, prefixes_, prefixes); !added) return added;
  return add_missing(socket_, interface_, addresses_, addresses);
}

Result<RouteDifference, std::string> AnnouncedRoutes::mend() {
  auto found = read_own_routes(OwnRouteKind::kUnicast);
  if (!found) return failure(found.error());
  auto differs = difference(prefixes_, found->prefixes);
  differs += difference(addresses_, found->addresses);
  if (auto added = add_missing(socket_, interface_, found->prefixes, prefixes_); !added)
    return failure(added.error());
  if (auto added = add_missing(socket_, interface_, found->addresses, addresses_); !added)
    return failure(added.error());
  remove_others(socket_, interface_, found->prefixes, prefixes_);
  remove_others(socket_, interface_, found->addresses, addresses_);
  return differs;
}

void AnnouncedRoutes::keep_only(const std::set<Ipv6Prefix>& prefixes, const std::set<Ipv4Prefix>& addresses) {
  remove_others(socket_, interface_, prefixes_, prefixes);
  remove_others(socket_, interface_, addresses_, addresses);
}

}  // namespace isthmus::nat64
