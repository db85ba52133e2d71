// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/netlink/own_routes.hpp"

#include <linux/rtnetlink.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/route/route.h>
#include <netlink/socket.h>

#include <memory>

#include "nat64-svc/shell/netlink/nl_address.hpp"

namespace isthmus::nat64 {
namespace {

using RoutePtr = std::unique_ptr<rtnl_route, decltype(&rtnl_route_put)>;

struct Wanted {
  unsigned char type;
  OwnRoutes found;
};

int collect(nl_msg* message, void* argument) {
  auto& wanted = *static_cast<Wanted*>(argument);
  rtnl_route* parsed = nullptr;
  if (rtnl_route_parse(nlmsg_hdr(message), &parsed) < 0) return NL_SKIP;
  const RoutePtr route(parsed, rtnl_route_put);
  if (rtnl_route_get_protocol(parsed) != kRouteProtocol || rtnl_route_get_table(parsed) != RT_TABLE_MAIN ||
      rtnl_route_get_type(parsed) != wanted.type)
    return NL_OK;
  nl_addr* destination = rtnl_route_get_dst(parsed);
  const auto ip = to_ip_address(destination);
  if (!ip) return NL_OK;
  const unsigned length = nl_addr_get_prefixlen(destination);
  if (const auto* v4 = std::get_if<Ipv4Address>(&*ip)) wanted.found.addresses.insert(Ipv4Prefix{*v4, length});
  if (const auto* v6 = std::get_if<Ipv6Address>(&*ip)) wanted.found.prefixes.insert(Ipv6Prefix{*v6, length});
  return NL_OK;
}

}  // namespace

Result<OwnRoutes, std::string> read_own_routes(OwnRouteKind kind) {
  const auto refused =
      failure(std::string("cannot read the kernel's routes: netlink must be permitted to this process"));
  const std::unique_ptr<nl_sock, decltype(&nl_socket_free)> socket(nl_socket_alloc(), nl_socket_free);
  if (!socket || nl_connect(socket.get(), NETLINK_ROUTE) < 0) return refused;
  // Only then does the kernel look at the protocol that is asked for; older ones send all, which is as well.
  const int on = 1;
  (void)setsockopt(nl_socket_get_fd(socket.get()), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on);
  Wanted wanted{kind == OwnRouteKind::kUnreachable ? static_cast<unsigned char>(RTN_UNREACHABLE)
                                                   : static_cast<unsigned char>(RTN_UNICAST),
                {}};
  nl_socket_modify_cb(socket.get(), NL_CB_VALID, NL_CB_CUSTOM, collect, &wanted);
  for (const auto family : {AF_INET, AF_INET6}) {
    rtmsg request{};
    request.rtm_family = static_cast<unsigned char>(family);
    request.rtm_protocol = kRouteProtocol;
    if (nl_send_simple(socket.get(), RTM_GETROUTE, NLM_F_DUMP, &request, sizeof request) < 0 ||
        nl_recvmsgs_default(socket.get()) < 0)
      return refused;
  }
  return std::move(wanted.found);
}

}  // namespace isthmus::nat64
