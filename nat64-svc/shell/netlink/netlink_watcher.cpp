// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/netlink/netlink_watcher.hpp"

#include <linux/if_ether.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/link/vlan.h>
#include <netlink/route/neighbour.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>

#include <chrono>
#include <cstring>

#include "nat64-svc/shell/netlink/kernel_routes.hpp"
#include "nat64-svc/shell/netlink/nl_address.hpp"

namespace isthmus::nat64 {
namespace {

using CachePtr = std::unique_ptr<nl_cache, decltype(&nl_cache_free)>;

constexpr std::chrono::milliseconds kSettle{10};     // changes rarely come alone
constexpr std::chrono::milliseconds kRefresh{1000};  // how often used stale neighbours are verified

template <class Read>
bool read_cache(Read&& read, const std::function<void(nl_object*)>& use) {
  nl_cache* raw = nullptr;
  if (read(&raw) < 0) return false;
  const CachePtr cache(raw, nl_cache_free);
  for (nl_object* object = nl_cache_get_first(raw); object != nullptr; object = nl_cache_get_next(object))
    use(object);
  return true;
}

Interface interface_of(rtnl_link* link) {
  Interface interface;
  interface.index = rtnl_link_get_ifindex(link);
  interface.mtu = rtnl_link_get_mtu(link);
  interface.up = (rtnl_link_get_flags(link) & IFF_UP) != 0;
  if (const char* kind = rtnl_link_get_type(link); kind != nullptr) interface.kind = kind;
  std::int32_t elsewhere = 0;
  if (rtnl_link_is_vlan(link) != 0 && rtnl_link_vlan_get_protocol(link) == htons(ETH_P_8021Q) &&
      rtnl_link_get_link_netnsid(link, &elsewhere) < 0) {
    interface.vlan = static_cast<std::uint16_t>(rtnl_link_vlan_get_id(link));
    interface.parent = rtnl_link_get_link(link);
  }
  if (nl_addr* address = rtnl_link_get_addr(link); address != nullptr && nl_addr_get_len(address) == 6) {
    std::memcpy(interface.mac.bytes.data(), nl_addr_get_binary_addr(address), 6);
  }
  return interface;
}

void add_address(std::map<int, Interface>& interfaces, rtnl_addr* address) {
  const auto it = interfaces.find(rtnl_addr_get_ifindex(address));
  const auto ip = to_ip_address(rtnl_addr_get_local(address));
  if (it == interfaces.end() || !ip) return;
  if (const auto* v4 = std::get_if<Ipv4Address>(&*ip)) it->second.addresses4.push_back(*v4);
  const auto* v6 = std::get_if<Ipv6Address>(&*ip);
  if (v6 != nullptr && !v6->is_link_local()) it->second.addresses6.push_back(*v6);
}

std::optional<Route> route_of(rtnl_route* route) {
  Route result;
  result.metric = rtnl_route_get_priority(route);
  switch (rtnl_route_get_type(route)) {
    case RTN_LOCAL:
      result.kind = RouteKind::kLocal;
      return result;
    case RTN_UNREACHABLE:
    case RTN_BLACKHOLE:
    case RTN_PROHIBIT:
      result.kind = RouteKind::kRefused;
      return result;
    case RTN_UNICAST:
      break;
    default:
      return std::nullopt;
  }
  std::uint32_t mtu = 0;
  if (rtnl_route_get_metric(route, RTAX_MTU, &mtu) == 0) result.mtu = mtu;
  for (int i = 0; i < rtnl_route_get_nnexthops(route); ++i) {
    rtnl_nexthop* hop = rtnl_route_nexthop_n(route, i);
    if ((rtnl_route_nh_get_flags(hop) & (RTNH_F_DEAD | RTNH_F_LINKDOWN)) != 0) continue;
    result.interface = rtnl_route_nh_get_ifindex(hop);
    nl_addr* gateway = rtnl_route_nh_get_via(hop);  // IPv4 by way of an IPv6 neighbour
    if (gateway == nullptr) gateway = rtnl_route_nh_get_gateway(hop);
    if (gateway != nullptr) result.gateway = to_ip_address(gateway);
    return result;
  }
  return std::nullopt;
}

void add_route(NetworkView& view, rtnl_route* route) {
  const auto table = rtnl_route_get_table(route);
  if (table != RT_TABLE_MAIN && table != RT_TABLE_LOCAL) return;
  if ((rtnl_route_get_flags(route) & RTM_F_CLONED) != 0) return;
  nl_addr* destination = rtnl_route_get_dst(route);
  const auto value = route_of(route);
  // Our own backstops are for the kernel. What the translator sends to another gateway's pool address follows
  // the routes around them.
  if (value && value->kind == RouteKind::kRefused && rtnl_route_get_protocol(route) == kRouteProtocol) return;
  if (!value || destination == nullptr) return;
  const unsigned length = nl_addr_get_prefixlen(destination);
  if (rtnl_route_get_family(route) == AF_INET) {
    const auto ip = to_ip_address(destination);
    const auto* v4 = ip ? std::get_if<Ipv4Address>(&*ip) : nullptr;
    view.add(Ipv4Prefix{v4 != nullptr ? *v4 : Ipv4Address{}, v4 != nullptr ? length : 0}, *value);
  } else if (rtnl_route_get_family(route) == AF_INET6) {
    const auto ip = to_ip_address(destination);
    const auto* v6 = ip ? std::get_if<Ipv6Address>(&*ip) : nullptr;
    view.add(Ipv6Prefix{v6 != nullptr ? *v6 : Ipv6Address{}, v6 != nullptr ? length : 0}, *value);
  }
}

void add_neighbour(NetworkView& view, rtnl_neigh* neighbour) {
  constexpr int kUsable = NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP;
  const int state = rtnl_neigh_get_state(neighbour);
  nl_addr* link = rtnl_neigh_get_lladdr(neighbour);
  nl_addr* ip = rtnl_neigh_get_dst(neighbour);
  if (state < 0 || (state & kUsable) == 0 || link == nullptr || nl_addr_get_len(link) != 6 || ip == nullptr)
    return;
  const auto address = to_ip_address(ip);
  if (!address) return;
  MacAddress mac;
  std::memcpy(mac.bytes.data(), nl_addr_get_binary_addr(link), 6);
  view.add_neighbour(rtnl_neigh_get_ifindex(neighbour), *address, mac, (state & NUD_STALE) != 0);
}

template <class T>
T* as(nl_object* object) {
  void* untyped = object;  // libnl objects begin with their nl_object
  return static_cast<T*>(untyped);
}

int mark_dirty(nl_msg* /*message*/, void* flag) {
  static_cast<std::atomic<bool>*>(flag)->store(true, std::memory_order_relaxed);
  return NL_OK;
}

}  // namespace

Result<std::unique_ptr<NetlinkWatcher>, std::string> NetlinkWatcher::open() {
  std::unique_ptr<NetlinkWatcher> self(new NetlinkWatcher);
  self->events_ = nl_socket_alloc();
  self->requests_ = nl_socket_alloc();
  self->wake_.reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  const std::string remedy = ": netlink must be permitted to this process";
  if (self->events_ == nullptr || self->requests_ == nullptr || !self->wake_.valid()) {
    return failure("cannot make netlink sockets" + remedy);
  }
  nl_socket_disable_seq_check(self->events_);
  nl_socket_modify_cb(self->events_, NL_CB_VALID, NL_CB_CUSTOM, mark_dirty, &self->dirty_);
  if (nl_connect(self->events_, NETLINK_ROUTE) < 0 || nl_connect(self->requests_, NETLINK_ROUTE) < 0 ||
      nl_socket_add_memberships(self->events_, RTNLGRP_LINK, RTNLGRP_NEIGH, RTNLGRP_IPV4_ROUTE,
                                RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, 0) < 0) {
    return failure("cannot listen to the kernel's routes and neighbours" + remedy);
  }
  nl_socket_set_nonblocking(self->events_);
  nl_socket_set_buffer_size(self->events_, 1 << 20, 0);
  if (!self->read_all()) return failure("cannot read the kernel's routes and neighbours" + remedy);
  return self;
}

NetlinkWatcher::~NetlinkWatcher() {
  stop();
  if (events_ != nullptr) nl_socket_free(events_);
  if (requests_ != nullptr) nl_socket_free(requests_);
}

void NetlinkWatcher::start(OnChange on_change) {
  on_change_ = std::move(on_change);
  thread_ = std::thread([this] { run(); });
}

void NetlinkWatcher::stop() {
  stop_.store(true);
  eventfd_write(wake_.get(), 1);
  if (thread_.joinable()) thread_.join();
}

void NetlinkWatcher::ask_for(int interface, const IpAddress& address) {
  {
    const std::lock_guard lock(wanted_mutex_);
    if (wanted_.size() >= kMaxRequests) return;
    wanted_.push_back({interface, address});
  }
  eventfd_write(wake_.get(), 1);
}

bool NetlinkWatcher::read_all() {
  auto view = std::make_shared<NetworkView>();
  std::map<int, Interface> interfaces;
  nl_sock* s = requests_;
  const bool ok = read_cache([s](nl_cache** c) { return rtnl_link_alloc_cache(s, AF_UNSPEC, c); },
                             [&](nl_object* o) {
                               auto interface = interface_of(as<rtnl_link>(o));
                               interfaces[interface.index] = interface;
                             }) &&
                  read_cache([s](nl_cache** c) { return rtnl_addr_alloc_cache(s, c); },
                             [&](nl_object* o) { add_address(interfaces, as<rtnl_addr>(o)); }) &&
                  read_cache([s](nl_cache** c) { return rtnl_route_alloc_cache(s, AF_UNSPEC, 0, c); },
                             [&](nl_object* o) { add_route(*view, as<rtnl_route>(o)); }) &&
                  read_cache([s](nl_cache** c) { return rtnl_neigh_alloc_cache(s, c); },
                             [&](nl_object* o) { add_neighbour(*view, as<rtnl_neigh>(o)); });
  if (!ok) return false;
  for (const auto& [index, interface] : interfaces) view->add(interface);
  view_.publish(std::move(view));
  return true;
}

// NTF_USE: the kernel acts as if it had a packet for this neighbour, i.e. it resolves or verifies it.
void NetlinkWatcher::solicit(int interface, const IpAddress& address) {
  rtnl_neigh* neighbour = rtnl_neigh_alloc();
  nl_addr* destination = to_nl_addr(address);
  rtnl_neigh_set_ifindex(neighbour, interface);
  rtnl_neigh_set_dst(neighbour, destination);
  rtnl_neigh_set_flags(neighbour, NTF_USE);
  const int error = rtnl_neigh_add(requests_, neighbour, NLM_F_CREATE);
  if (error < 0) spdlog::debug("a neighbour cannot be resolved: {}", nl_geterror(error));
  nl_addr_put(destination);
  rtnl_neigh_put(neighbour);
}

void NetlinkWatcher::run() {
  auto next_refresh = std::chrono::steady_clock::now() + kRefresh;
  while (!stop_.load()) {
    pollfd fds[2] = {{nl_socket_get_fd(events_), POLLIN, 0}, {wake_.get(), POLLIN, 0}};
    poll(fds, 2, static_cast<int>(kRefresh.count()));
    eventfd_t ignored = 0;
    if ((fds[1].revents & POLLIN) != 0) eventfd_read(wake_.get(), &ignored);
    std::vector<NetworkView::NeighbourKey> wanted;
    {
      const std::lock_guard lock(wanted_mutex_);
      wanted.swap(wanted_);
    }
    if (std::chrono::steady_clock::now() >= next_refresh) {
      next_refresh = std::chrono::steady_clock::now() + kRefresh;
      for (auto& key : view_.get()->take_used_stale()) wanted.push_back(key);
    }
    for (const auto& key : wanted) solicit(key.interface, key.address);
    if ((fds[0].revents & (POLLIN | POLLERR)) != 0) {
      // An overrun (NLE_NOMEM) means that messages were lost; as everything is read anew, that changes
      // nothing.
      if (nl_recvmsgs_default(events_) < 0) dirty_.store(true);
    }
    if (dirty_.exchange(false)) {
      std::this_thread::sleep_for(kSettle);
      while (nl_recvmsgs_default(events_) >= 0) continue;
      dirty_.store(!read_all());
      if (on_change_) on_change_(*view_.get());
    }
  }
}

}  // namespace isthmus::nat64
