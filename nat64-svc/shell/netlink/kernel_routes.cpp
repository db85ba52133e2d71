// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/netlink/kernel_routes.hpp"

#include <linux/rtnetlink.h>
#include <netlink/netlink.h>
#include <netlink/route/route.h>
#include <spdlog/spdlog.h>

#include <memory>

#include "nat64-svc/shell/netlink/nl_address.hpp"

namespace isthmus::nat64 {
namespace {

using RoutePtr = std::unique_ptr<rtnl_route, decltype(&rtnl_route_put)>;

template <class Prefix>
RoutePtr unreachable_route(const Prefix& prefix) {
  RoutePtr route(rtnl_route_alloc(), rtnl_route_put);
  nl_addr* destination = to_nl_addr(prefix.address());
  nl_addr_set_prefixlen(destination, static_cast<int>(prefix.length()));
  rtnl_route_set_dst(route.get(), destination);
  nl_addr_put(destination);
  rtnl_route_set_table(route.get(), RT_TABLE_MAIN);
  rtnl_route_set_scope(route.get(), RT_SCOPE_UNIVERSE);
  rtnl_route_set_type(route.get(), RTN_UNREACHABLE);
  rtnl_route_set_protocol(route.get(), kRouteProtocol);
  rtnl_route_set_priority(route.get(), kBackstopMetric);
  return route;
}

template <class Prefix>
Result<void, std::string> add_missing(nl_sock* socket, std::set<Prefix>& present,
                                      const std::set<Prefix>& wanted) {
  for (const auto& prefix : wanted) {
    if (present.contains(prefix)) continue;
    const int error = rtnl_route_add(socket, unreachable_route(prefix).get(), NLM_F_EXCL);
    if (error < 0 && error != -NLE_EXIST) {
      return failure("cannot add the route unreachable " + prefix.to_string() + ": " + nl_geterror(error) +
                     ": grant CAP_NET_ADMIN");
    }
    present.insert(prefix);
  }
  return {};
}

template <class Prefix>
void remove_others(nl_sock* socket, std::set<Prefix>& present, const std::set<Prefix>& wanted) {
  for (auto it = present.begin(); it != present.end();) {
    if (wanted.contains(*it)) {
      ++it;
      continue;
    }
    const int error = rtnl_route_delete(socket, unreachable_route(*it).get(), 0);
    if (error < 0 && error != -NLE_OBJ_NOTFOUND) {
      spdlog::warn("cannot remove the route unreachable {}: {}; ip route del it by hand", it->to_string(),
                   nl_geterror(error));
    }
    it = present.erase(it);
  }
}

}  // namespace

Result<std::unique_ptr<KernelRoutes>, std::string> KernelRoutes::open() {
  std::unique_ptr<KernelRoutes> self(new KernelRoutes);
  self->socket_ = nl_socket_alloc();
  auto found = read_own_routes(OwnRouteKind::kUnreachable);
  if (!found) return failure(found.error());
  if (self->socket_ == nullptr || nl_connect(self->socket_, NETLINK_ROUTE) < 0)
    return failure(std::string("cannot speak to the kernel: netlink must be permitted to this process"));
  self->prefixes_ = std::move(found->prefixes);
  self->addresses_ = std::move(found->addresses);
  if (!self->prefixes_.empty() || !self->addresses_.empty()) {
    spdlog::info("adopted {} routes of an earlier run", self->prefixes_.size() + self->addresses_.size());
  }
  return self;
}

KernelRoutes::~KernelRoutes() {
  if (socket_ != nullptr) nl_socket_free(socket_);
}

Result<RouteDifference, std::string> KernelRoutes::mend() {
  auto found = read_own_routes(OwnRouteKind::kUnreachable);
  if (!found) return failure(found.error());
  auto differs = difference(prefixes_, found->prefixes);
  differs += difference(addresses_, found->addresses);
  if (auto added = add_missing(socket_, found->prefixes, prefixes_); !added) return failure(added.error());
  if (auto added = add_missing(socket_, found->addresses, addresses_); !added) return failure(added.error());
  remove_others(socket_, found->prefixes, prefixes_);
  remove_others(socket_, found->addresses, addresses_);
  return differs;
}

Result<void, std::string> KernelRoutes::add(const std::set<Ipv6Prefix>& prefixes,
                                            const std::set<Ipv4Prefix>& addresses) {
  if (auto added = add_missing(socket_, prefixes_, prefixes); !added) return added;
  return add_missing(socket_, addresses_, addresses);
}

void KernelRoutes::keep_only(const std::set<Ipv6Prefix>& prefixes, const std::set<Ipv4Prefix>& addresses) {
  remove_others(socket_, prefixes_, prefixes);
  remove_others(socket_, addresses_, addresses);
}

}  // namespace isthmus::nat64
