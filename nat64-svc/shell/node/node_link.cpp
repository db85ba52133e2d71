// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/node/node_link.hpp"

#include <linux/ethtool.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/link/inet.h>
#include <netlink/route/link/inet6.h>
#include <netlink/route/link/veth.h>
#include <netlink/route/neighbour.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>
#include <spdlog/spdlog.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "common/base/unique_fd.hpp"
#include "nat64-svc/shell/netlink/kernel_routes.hpp"
#include "nat64-svc/shell/netlink/nl_address.hpp"
#include "nat64-svc/shell/node/sysctls.hpp"
#include "nat64-svc/shell/xsk/umem.hpp"

namespace isthmus::nat64 {
namespace {

using LinkPtr = std::unique_ptr<rtnl_link, decltype(&rtnl_link_put)>;
using RoutePtr = std::unique_ptr<rtnl_route, decltype(&rtnl_route_put)>;
using AddrPtr = std::unique_ptr<nl_addr, decltype(&nl_addr_put)>;

constexpr std::uint32_t kGrowth = 28;        // of a packet from IPv4 to IPv6: 20, and 8 for a fragment header
constexpr const char* kAlias = "nat64-svc";  // how we know our own after a crash
const Ipv6Address kKernelEndAddress = Ipv6Address::from_halves(0xfe80'0000'0000'0000, 1);
const Ipv6Address kOurEndAddress = Ipv6Address::from_halves(0xfe80'0000'0000'0000, 2);

std::string said(int error) {
  return nl_geterror(error);
}

void set_mac(rtnl_link* link, const MacAddress& mac) {
  const AddrPtr address(nl_addr_build(AF_LLC, mac.bytes.data(), mac.bytes.size()), nl_addr_put);
  rtnl_link_set_addr(link, address.get());
}

LinkPtr link_named(nl_sock* socket, const char* name) {
  rtnl_link* link = nullptr;
  if (rtnl_link_get_kernel(socket, 0, name, &link) < 0) link = nullptr;
  return {link, rtnl_link_put};
}

// Then the kernel itself completes checksums and segments before a packet enters the pair: nothing that
// comes out of our end is left to be done by hardware. Segmentation offloads go with the checksums.
bool without_transmit_offloads(const char* name) {
  const UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ethtool_value value{.cmd = ETHTOOL_STXCSUM, .data = 0};
  ifreq request{};
  std::strncpy(request.ifr_name, name, sizeof request.ifr_name - 1);
  void* data = &value;
  request.ifr_data = static_cast<char*>(data);
  return fd.valid() && ioctl(fd.get(), SIOCETHTOOL, &request) == 0;
}

template <class Prefix>
RoutePtr route_to(const Prefix& prefix, int interface) {
  RoutePtr route(rtnl_route_alloc(), rtnl_route_put);
  const AddrPtr destination(to_nl_addr(prefix.address()), nl_addr_put);
  nl_addr_set_prefixlen(destination.get(), static_cast<int>(prefix.length()));
  rtnl_route_set_dst(route.get(), destination.get());
  rtnl_route_set_table(route.get(), RT_TABLE_MAIN);
  rtnl_route_set_scope(route.get(), RT_SCOPE_UNIVERSE);
  rtnl_route_set_type(route.get(), RTN_UNICAST);
  rtnl_route_set_protocol(route.get(), kRouteProtocol);
  rtnl_nexthop* hop = rtnl_route_nh_alloc();
  rtnl_route_nh_set_ifindex(hop, interface);
  const AddrPtr gateway(to_nl_addr(kOurEndAddress), nl_addr_put);
  if constexpr (std::is_same_v<Prefix, Ipv4Prefix>) {
    rtnl_route_nh_set_via(hop, gateway.get());  // RTA_VIA: IPv4 by way of an IPv6 neighbour
  } else {
    rtnl_route_nh_set_gateway(hop, gateway.get());
  }
  rtnl_route_add_nexthop(route.get(), hop);
  return route;
}

constexpr std::uint32_t kMetric6 = 1024;  // IPv6's usual one, so that a replacement finds its predecessor

RoutePtr route_with_mtu(const Ipv6Prefix& prefix, int interface, std::uint32_t mtu) {
  auto route = route_to(prefix, interface);
  rtnl_route_set_priority(route.get(), kMetric6);
  rtnl_route_set_metric(route.get(), RTAX_MTU, mtu);
  return route;
}

RoutePtr route_with_mtu(const Ipv4Prefix& pool, int interface, std::uint32_t mtu) {
  auto route = route_to(pool, interface);
  rtnl_route_set_metric(route.get(), RTAX_MTU, mtu);
  return route;
}

template <class Prefix>
Result<void, std::string> install(nl_sock* socket, const Prefix& prefix, const RoutePtr& route) {
  const int error = rtnl_route_add(socket, route.get(), NLM_F_CREATE | NLM_F_REPLACE);
  if (error >= 0) return {};
  return failure("cannot route " + prefix.to_string() + " to " + kKernelEnd + ": " + said(error) +
                 ": ip route show " + prefix.to_string() + " tells whether another route is in the way");
}

template <class Prefix, class Make>
void withdraw(nl_sock* socket, std::set<Prefix>& present, const std::set<Prefix>& wanted, Make&& make) {
  std::erase_if(present, [&](const Prefix& prefix) {
    if (wanted.contains(prefix)) return false;
    if (const int error = rtnl_route_delete(socket, make(prefix).get(), 0); error < 0) {
      spdlog::warn("cannot remove the route to {} by {}: {}", prefix.to_string(), kKernelEnd, said(error));
    }
    return true;
  });
}

}  // namespace

std::uint32_t node_link_mtu(std::uint32_t uplink_mtu) {
  return std::clamp(uplink_mtu + kGrowth, 1500 + kGrowth, kLargestMtu);
}

Result<std::unique_ptr<NodeLink>, std::string> NodeLink::create(std::uint32_t queues, std::uint32_t mtu) {
  std::unique_ptr<NodeLink> self(new NodeLink);
  self->mtu_ = mtu;
  self->socket_ = nl_socket_alloc();
  if (self->socket_ == nullptr || nl_connect(self->socket_, NETLINK_ROUTE) < 0) {
    return failure(std::string("cannot speak to the kernel: netlink must be permitted to this process"));
  }
  if (auto done = self->remove_leftover(); !done) return failure(done.error());
  auto done = self->make_pair(queues);
  if (done) done = self->configure_ends();
  if (done) {
    if (auto restored = self->restore(); !restored) done = failure(restored.error());
  }
  if (!done) {
    self->remove();
    return failure(done.error());
  }
  return self;
}

NodeLink::~NodeLink() {
  if (socket_ != nullptr) nl_socket_free(socket_);
}

namespace {

// By its link address too, which it has from its first moment: the alias comes later, and a kill may come
// between.
bool is_ours(rtnl_link* link) {
  const char* alias = rtnl_link_get_ifalias(link);
  if (alias != nullptr && std::string_view(alias) == kAlias) return true;
  const nl_addr* address = rtnl_link_get_addr(link);
  if (address == nullptr || nl_addr_get_len(address) != kKernelEndMac.bytes.size()) return false;
  const auto* bytes = static_cast<const std::uint8_t*>(nl_addr_get_binary_addr(address));
  return rtnl_link_is_veth(link) != 0 &&
         (std::equal(kKernelEndMac.bytes.begin(), kKernelEndMac.bytes.end(), bytes) ||
          std::equal(kOurEndMac.bytes.begin(), kOurEndMac.bytes.end(), bytes));
}

}  // namespace

Result<void, std::string> NodeLink::remove_leftover() {
  for (const char* name : {kKernelEnd, kOurEnd}) {
    const auto link = link_named(socket_, name);
    if (link == nullptr) continue;
    if (!is_ours(link.get())) {
      return failure(std::string("there is an interface ") + name +
                     " that is not of nat64-svc: remove or rename it (ip link set " + name + " name OTHER)");
    }
    if (const int error = rtnl_link_delete(socket_, link.get()); error < 0) {
      return failure(std::string("cannot remove ") + name + " of an earlier run: " + said(error) +
                     ": ip link del " + name);
    }
    spdlog::info("removed {}, which an earlier run left", name);
  }
  return {};
}

Result<void, std::string> NodeLink::make_pair(std::uint32_t queues) {
  const LinkPtr link(rtnl_link_veth_alloc(), rtnl_link_put);
  if (link == nullptr) return failure(std::string("out of memory"));
  rtnl_link* peer = rtnl_link_veth_get_peer(link.get());
  const auto describe = [&](rtnl_link* end, const char* name, const MacAddress& mac) {
    rtnl_link_set_name(end, name);
    rtnl_link_set_mtu(end, mtu_);
    // Equal on both ends: an XDP program needs a receive queue for each transmit queue of its peer.
    rtnl_link_set_num_tx_queues(end, queues);
    rtnl_link_set_num_rx_queues(end, queues);
    set_mac(end, mac);
  };
  describe(link.get(), kKernelEnd, kKernelEndMac);
  describe(peer, kOurEnd, kOurEndMac);
  const int error = rtnl_link_add(socket_, link.get(), NLM_F_CREATE | NLM_F_EXCL);
  rtnl_link_put(peer);  // veth_get_peer() took a reference
  if (error < 0) {
    return failure(std::string("cannot make the veth pair ") + kKernelEnd + ": " + said(error) +
                   ": the kernel needs veth (modprobe veth) and the process CAP_NET_ADMIN");
  }
  kernel_end_ = static_cast<int>(if_nametoindex(kKernelEnd));
  our_end_ = static_cast<int>(if_nametoindex(kOurEnd));
  if (kernel_end_ == 0 || our_end_ == 0) return failure(std::string("the veth pair vanished at once"));
  return {};
}

Result<void, std::string> NodeLink::configure_ends() {
  // Best effort where /proc/sys is read-only: the packet filter's dead end guards as well.
  const std::string ours = std::string("net.ipv6.conf.") + kOurEnd;
  if (!write_sysctl(ours + ".disable_ipv6", "1")) spdlog::debug("{}.disable_ipv6 cannot be set here", ours);

  for (const char* name : {kKernelEnd, kOurEnd}) {
    const bool kernels = name == kKernelEnd;
    const LinkPtr change(rtnl_link_alloc(), rtnl_link_put);
    rtnl_link_set_ifalias(change.get(), kAlias);
    rtnl_link_inet_set_conf(change.get(), IPV4_DEVCONF_FORWARDING, kernels ? 1 : 0);
    rtnl_link_inet6_set_addr_gen_mode(change.get(), IN6_ADDR_GEN_MODE_NONE);
    rtnl_link_set_flags(change.get(), IFF_UP);
    const auto link = link_named(socket_, name);
    const int error =
        link == nullptr ? -NLE_OBJ_NOTFOUND : rtnl_link_change(socket_, link.get(), change.get(), 0);
    if (error < 0) return failure(std::string("cannot configure ") + name + ": " + said(error));
  }
  if (!without_transmit_offloads(kKernelEnd)) {
    return failure(std::string("cannot switch checksum offload off on ") + kKernelEnd + ": " +
                   std::strerror(errno));
  }
  return {};
}

Result<bool, std::string> NodeLink::restore() {
  bool missing = false;
  for (const char* name : {kKernelEnd, kOurEnd}) {
    const auto link = link_named(socket_, name);
    if (link == nullptr) return failure(std::string(name) + " is gone");
    if ((rtnl_link_get_flags(link.get()) & IFF_UP) != 0) continue;
    missing = true;
    const LinkPtr change(rtnl_link_alloc(), rtnl_link_put);
    rtnl_link_set_flags(change.get(), IFF_UP);
    if (const int error = rtnl_link_change(socket_, link.get(), change.get(), 0); error < 0)
      return failure(std::string("cannot set ") + name + " up: " + said(error));
  }
  const auto address = set_address();
  if (!address) return failure(address.error());
  if (auto done = set_neighbour(); !done) return failure(done.error());
  return missing || *address;
}

Result<bool, std::string> NodeLink::set_address() {
  const AddrPtr own(to_nl_addr(kKernelEndAddress), nl_addr_put);
  nl_addr_set_prefixlen(own.get(), 64);
  rtnl_addr* address = rtnl_addr_alloc();
  rtnl_addr_set_ifindex(address, kernel_end_);
  rtnl_addr_set_local(address, own.get());
  rtnl_addr_set_flags(address, IFA_F_NODAD | IFA_F_PERMANENT);
  const int error = rtnl_addr_add(socket_, address, NLM_F_CREATE | NLM_F_EXCL);
  rtnl_addr_put(address);
  if (error == -NLE_EXIST) return false;
  if (error >= 0) return true;
  return failure(std::string("cannot give ") + kKernelEnd + " its IPv6 address: " + said(error) +
                 ": is IPv6 disabled on this node? sysctl net.ipv6.conf.all.disable_ipv6");
}

Result<void, std::string> NodeLink::set_neighbour() {
  rtnl_neigh* neighbour = rtnl_neigh_alloc();
  const AddrPtr ip(to_nl_addr(kOurEndAddress), nl_addr_put);
  const AddrPtr mac(nl_addr_build(AF_LLC, kOurEndMac.bytes.data(), 6), nl_addr_put);
  rtnl_neigh_set_ifindex(neighbour, kernel_end_);
  rtnl_neigh_set_dst(neighbour, ip.get());
  rtnl_neigh_set_lladdr(neighbour, mac.get());
  rtnl_neigh_set_state(neighbour, NUD_PERMANENT);
  const int error = rtnl_neigh_add(socket_, neighbour, NLM_F_CREATE | NLM_F_REPLACE);
  rtnl_neigh_put(neighbour);
  if (error < 0) return failure(std::string("cannot set the neighbour fe80::2: ") + said(error));
  return {};
}

Result<void, std::string> NodeLink::route(const std::set<Ipv6Prefix>& prefixes,
                                          const std::set<Ipv4Prefix>& pools, std::uint32_t mtu6) {
  for (const auto& pool : pools) {
    if (pools_.contains(pool)) continue;
    if (auto done = install(socket_, pool, route_with_mtu(pool, kernel_end_, mtu_ - kGrowth)); !done)
      return done;
    pools_.insert(pool);
  }
  for (const auto& prefix : prefixes) {
    if (prefixes_.contains(prefix) && mtu6 == routed_mtu6_) continue;
    if (auto done = install(socket_, prefix, route_with_mtu(prefix, kernel_end_, mtu6)); !done) return done;
    prefixes_.insert(prefix);
  }
  routed_mtu6_ = mtu6;
  withdraw(socket_, prefixes_, prefixes,
           [&](const Ipv6Prefix& prefix) { return route_with_mtu(prefix, kernel_end_, mtu6); });
  withdraw(socket_, pools_, pools,
           [&](const Ipv4Prefix& pool) { return route_with_mtu(pool, kernel_end_, mtu_ - kGrowth); });
  return {};
}

void NodeLink::remove() {
  const auto link = link_named(socket_, kKernelEnd);
  if (link == nullptr) return;
  if (const int error = rtnl_link_delete(socket_, link.get()); error < 0) {
    spdlog::warn("cannot remove {}: {}; ip link del {} by hand", kKernelEnd, said(error), kKernelEnd);
  }
  prefixes_.clear();
  pools_.clear();
}

}  // namespace isthmus::nat64
