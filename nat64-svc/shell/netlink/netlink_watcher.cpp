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

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

#include "nat64-svc/shell/netlink/kernel_routes.hpp"
#include "nat64-svc/shell/netlink/nl_address.hpp"

namespace isthmus::nat64 {
namespace {

using CachePtr = std::unique_ptr<nl_cache, decltype(&nl_cache_free)>;

constexpr unsigned kLowerUp = 1U << 16;                 // IFF_LOWER_UP, which <net/if.h> does not have
constexpr Duration kRefresh = std::chrono::seconds{1};  // how often used stale neighbours are verified
constexpr int kMostEvents = 1024;                       // taken at once, before what waits is looked at again

template <class T>
T* as(nl_object* object) {
  void* untyped = object;  // libnl objects begin with their nl_object
  return static_cast<T*>(untyped);
}

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
  const unsigned flags = rtnl_link_get_flags(link);
  interface.up = (flags & IFF_UP) != 0;
  // Not the operational state: a dummy or a tunnel leaves that unknown, and has a carrier all the same.
  interface.running = interface.up && (flags & kLowerUp) != 0;
  if (const char* kind = rtnl_link_get_type(link); kind != nullptr) interface.kind = kind;
  std::int32_t elsewhere = 0;
  const bool here = rtnl_link_get_link_netnsid(link, &elsewhere) < 0;
  // A veth names its peer in the same place.
  if (here && interface.kind != "veth") interface.lower = rtnl_link_get_link(link);
  interface.master = rtnl_link_get_master(link);
  if (here && rtnl_link_is_vlan(link) != 0 && rtnl_link_vlan_get_protocol(link) == htons(ETH_P_8021Q)) {
    interface.vlan = static_cast<std::uint16_t>(rtnl_link_vlan_get_id(link));
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
    case RTN_ANYCAST:
    case RTN_BROADCAST:  // RFC 2644: a packet from elsewhere never becomes a broadcast here
      result.kind = RouteKind::kLocal;
      return result;
    case RTN_UNREACHABLE:
      result.kind = RouteKind::kUnreachable;
      return result;
    case RTN_PROHIBIT:
      result.kind = RouteKind::kProhibited;
      return result;
    case RTN_BLACKHOLE:
      result.kind = RouteKind::kBlackhole;
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

void add_route(Routes& routes, rtnl_route* route) {
  const auto table = rtnl_route_get_table(route);
  if (table != RT_TABLE_MAIN && table != RT_TABLE_LOCAL) return;
  if ((rtnl_route_get_flags(route) & RTM_F_CLONED) != 0) return;
  nl_addr* destination = rtnl_route_get_dst(route);
  const auto value = route_of(route);
  // Our own backstops are for the kernel. What the translator sends to another gateway's pool address follows
  // the routes around them.
  const bool backstop = value && value->kind == RouteKind::kUnreachable;
  if (backstop && rtnl_route_get_protocol(route) == kRouteProtocol) return;
  if (!value || destination == nullptr) return;
  const unsigned length = nl_addr_get_prefixlen(destination);
  if (rtnl_route_get_family(route) == AF_INET) {
    const auto ip = to_ip_address(destination);
    const auto* v4 = ip ? std::get_if<Ipv4Address>(&*ip) : nullptr;
    routes.four.add(Ipv4Prefix{v4 != nullptr ? *v4 : Ipv4Address{}, v4 != nullptr ? length : 0}, *value);
  } else if (rtnl_route_get_family(route) == AF_INET6) {
    const auto ip = to_ip_address(destination);
    const auto* v6 = ip ? std::get_if<Ipv6Address>(&*ip) : nullptr;
    routes.six.add(Ipv6Prefix{v6 != nullptr ? *v6 : Ipv6Address{}, v6 != nullptr ? length : 0}, *value);
  }
}

// One by one as they come: a cache of a million would take a gigabyte.
bool read_routes(nl_sock* socket, int family, Routes& routes) {
  const std::unique_ptr<nl_cb, decltype(&nl_cb_put)> callbacks(nl_cb_alloc(NL_CB_DEFAULT), nl_cb_put);
  if (callbacks == nullptr) return false;
  const auto use = [](nl_msg* message, void* into) -> int {
    nl_msg_parse(
        message,
        [](nl_object* object, void* all) { add_route(*static_cast<Routes*>(all), as<rtnl_route>(object)); },
        into);
    return NL_OK;
  };
  nl_cb_set(callbacks.get(), NL_CB_VALID, NL_CB_CUSTOM, use, &routes);
  return nl_rtgen_request(socket, RTM_GETROUTE, family, NLM_F_DUMP) >= 0 &&
         nl_recvmsgs(socket, callbacks.get()) >= 0;
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
  nl_socket_modify_cb(self->events_, NL_CB_VALID, NL_CB_CUSTOM, note_change, self.get());
  if (nl_connect(self->events_, NETLINK_ROUTE) < 0 || nl_connect(self->requests_, NETLINK_ROUTE) < 0 ||
      nl_socket_add_memberships(self->events_, RTNLGRP_LINK, RTNLGRP_NEIGH, RTNLGRP_IPV4_ROUTE,
                                RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, 0) < 0) {
    return failure("cannot listen to the kernel's routes and neighbours" + remedy);
  }
  nl_socket_set_nonblocking(self->events_);
  nl_socket_set_buffer_size(self->events_, 1 << 20, 0);
  if (!self->read(Reading::kAll)) return failure("cannot read the kernel's routes and neighbours" + remedy);
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

NetlinkWatcher::Readings NetlinkWatcher::readings(Reading what) const {
  const auto& tally = tallies_[static_cast<std::size_t>(what)];
  return {tally.count.load(std::memory_order_relaxed),
          Duration{tally.last_ns.load(std::memory_order_relaxed)}};
}

bool NetlinkWatcher::read(Reading what) {
  const auto began = boot_now();
  const bool ok = read_tables(what);
  const auto ended = boot_now();
  pace_.took(what, began, ended);
  if (!ok) return false;
  auto& tally = tallies_[static_cast<std::size_t>(what)];
  tally.count.fetch_add(1, std::memory_order_relaxed);
  tally.last_ns.store((ended - began).count(), std::memory_order_relaxed);
  return true;
}

bool NetlinkWatcher::read_tables(Reading what) {
  auto routes = what == Reading::kAll ? nullptr : view_.get()->routes();
  nl_sock* s = requests_;
  if (routes == nullptr) {
    auto fresh = std::make_shared<Routes>();
    if (!read_routes(s, AF_INET, *fresh) || !read_routes(s, AF_INET6, *fresh)) return false;
    routes = std::move(fresh);
  }
  auto view = std::make_shared<NetworkView>(std::move(routes));
  std::map<int, Interface> interfaces;
  const bool ok = read_cache([s](nl_cache** c) { return rtnl_link_alloc_cache(s, AF_UNSPEC, c); },
                             [&](nl_object* o) {
                               auto interface = interface_of(as<rtnl_link>(o));
                               interfaces[interface.index] = interface;
                             }) &&
                  read_cache([s](nl_cache** c) { return rtnl_addr_alloc_cache(s, c); },
                             [&](nl_object* o) { add_address(interfaces, as<rtnl_addr>(o)); }) &&
                  read_cache([s](nl_cache** c) { return rtnl_neigh_alloc_cache(s, c); },
                             [&](nl_object* o) { add_neighbour(*view, as<rtnl_neigh>(o)); });
  if (!ok) return false;
  for (const auto& [index, interface] : interfaces) view->add(interface);
  if (const auto before = view_.get(); before && before->routes() != view->routes())
    retired_.push_back(before->routes());
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

int NetlinkWatcher::note_change(nl_msg* message, void* self) {
  auto& watcher = *static_cast<NetlinkWatcher*>(self);
  const auto type = nlmsg_hdr(message)->nlmsg_type;
  const bool neighbour = type == RTM_NEWNEIGH || type == RTM_DELNEIGH;
  // The kernel takes routes away with a link or an address and does not always say so.
  (neighbour ? watcher.changed_neighbours_ : watcher.changed_all_) = true;
  return NL_OK;
}

void NetlinkWatcher::take_events(TimePoint now) {
  int error = 0;
  for (int i = 0; i < kMostEvents && error >= 0; ++i) error = nl_recvmsgs_default(events_);
  // An overrun (NLE_NOMEM) means that messages were lost: anything may have changed.
  if (error < 0 && error != -NLE_AGAIN) changed_all_ = true;
  if (std::exchange(changed_all_, false)) pace_.changed(Reading::kAll, now);
  if (std::exchange(changed_neighbours_, false)) pace_.changed(Reading::kNeighbours, now);
}

void NetlinkWatcher::ask_wanted() {
  std::vector<NetworkView::NeighbourKey> wanted;
  {
    const std::lock_guard lock(wanted_mutex_);
    wanted.swap(wanted_);
  }
  if (boot_now() >= next_refresh_) {
    next_refresh_ = boot_now() + kRefresh;
    for (auto& key : view_.get()->take_used_stale()) wanted.push_back(key);
  }
  for (const auto& key : wanted) solicit(key.interface, key.address);
}

void NetlinkWatcher::read_what_is_due() {
  std::erase_if(retired_, [](const auto& routes) { return routes.use_count() == 1; });
  const auto what = pace_.take(boot_now());
  if (!what) return;
  if (!read(*what)) pace_.changed(*what, boot_now());
  if (on_change_) on_change_(*view_.get());
}

void NetlinkWatcher::run() {
  while (!stop_.load()) {
    const auto until = std::min(pace_.next().value_or(TimePoint::max()), boot_now() + kRefresh);
    const auto patience = std::chrono::ceil<std::chrono::milliseconds>(until - boot_now());
    pollfd fds[2] = {{nl_socket_get_fd(events_), POLLIN, 0}, {wake_.get(), POLLIN, 0}};
    poll(fds, 2, static_cast<int>(std::max<std::int64_t>(patience.count(), 0)));
    eventfd_t ignored = 0;
    if ((fds[1].revents & POLLIN) != 0) eventfd_read(wake_.get(), &ignored);
    ask_wanted();
    if ((fds[0].revents & (POLLIN | POLLERR)) != 0) take_events(boot_now());
    read_what_is_due();
  }
}

}  // namespace isthmus::nat64
