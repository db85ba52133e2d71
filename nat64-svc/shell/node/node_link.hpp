// SPDX-License-Identifier: Apache-2.0
// Node mode's pair of virtual Ethernet interfaces. The kernel's end, isth0, is where the node routes the
// translation prefixes and the pool; our end, isth1, is where the AF_XDP sockets are. Nothing is looked up
// between them: both link addresses are fixed and the kernel's neighbour entry is permanent.
//
// Not thread-safe.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "common/base/result.hpp"
#include "common/net/prefix.hpp"
#include "nat64-svc/shell/netlink/mac_address.hpp"

struct nl_sock;

namespace isthmus::nat64 {

inline constexpr const char* kKernelEnd = "isth0";
inline constexpr const char* kOurEnd = "isth1";
// Locally administered, "isth" in ASCII. Set by us, so that nobody (udev) replaces random ones.
inline constexpr MacAddress kKernelEndMac{{0x02, 0x69, 0x73, 0x74, 0x68, 0x00}};
inline constexpr MacAddress kOurEndMac{{0x02, 0x69, 0x73, 0x74, 0x68, 0x01}};

// Large enough for what comes from the uplink after it grew by an IPv6 header (20 bytes more, and a fragment
// header of 8), within what AF_XDP takes.
[[nodiscard]] std::uint32_t node_link_mtu(std::uint32_t uplink_mtu);

class NodeLink {
 public:
  // Makes the pair anew; one that a crashed process left is removed first. Interfaces of these names that
  // are not ours are refused. Errors are sentences with the remedy.
  [[nodiscard]] static Result<std::unique_ptr<NodeLink>, std::string> create(std::uint32_t queues,
                                                                             std::uint32_t mtu);
  ~NodeLink();  // leaves the pair; see remove()
  NodeLink(const NodeLink&) = delete;
  NodeLink& operator=(const NodeLink&) = delete;

  // Routes exactly these into the kernel's end. `mtu6`: largest IPv6 packet that the kernel may send there.
  [[nodiscard]] Result<void, std::string> route(const std::set<Ipv6Prefix>& prefixes,
                                                const std::set<Ipv4Prefix>& pools, std::uint32_t mtu6);
  // Sets both ends up again and gives back what the kernel forgets of an interface that goes down: its
  // address and neighbour. True: somebody had taken them; the routes are gone as well then.
  [[nodiscard]] Result<bool, std::string> restore();
  // Somebody removed them: the next route() makes all again.
  void forget_routes() {
    prefixes_.clear();
    pools_.clear();
  }
  // The pair and with it its routes and neighbours.
  void remove();

  [[nodiscard]] int kernel_end() const { return kernel_end_; }  // interface indices
  [[nodiscard]] int our_end() const { return our_end_; }
  [[nodiscard]] std::uint32_t mtu() const { return mtu_; }

 private:
  NodeLink() = default;
  [[nodiscard]] Result<void, std::string> remove_leftover();
  [[nodiscard]] Result<void, std::string> make_pair(std::uint32_t queues);
  [[nodiscard]] Result<void, std::string> configure_ends();
  [[nodiscard]] Result<bool, std::string> set_address();  // false: it is there
  [[nodiscard]] Result<void, std::string> set_neighbour();

  nl_sock* socket_ = nullptr;
  int kernel_end_ = 0;
  int our_end_ = 0;
  std::uint32_t mtu_ = 0;
  std::uint32_t routed_mtu6_ = 0;
  std::set<Ipv6Prefix> prefixes_;
  std::set<Ipv4Prefix> pools_;
};

}  // namespace isthmus::nat64
