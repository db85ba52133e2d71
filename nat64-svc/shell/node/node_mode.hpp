// SPDX-License-Identifier: Apache-2.0
// Node mode (docs/nat64.md): one nat64-svc per node translates for the node's own pods. The node's kernel
// routes the prefixes to us over a veth pair and hides the private pool behind the node's IPv4 address.
//
// Owns what that needs in the kernel and keeps it true. One thread at a time.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "common/config/policy.hpp"
#include "nat64-svc/core/runtime.hpp"
#include "nat64-svc/shell/netlink/network_view.hpp"
#include "nat64-svc/shell/node/nft.hpp"
#include "nat64-svc/shell/node/nft_rules.hpp"
#include "nat64-svc/shell/node/node_link.hpp"

namespace isthmus::nat64 {

class NodeMode {
 public:
  // Checks the node and makes the veth pair; routes and rules come with the policy. Errors are sentences with
  // the remedy.
  [[nodiscard]] static Result<std::unique_ptr<NodeMode>, std::string> open(std::uint32_t queues,
                                                                           const NetworkView& view);

  // Empty, or why a policy cannot run on this node. `policy` has NODE_LOCAL pools only (policy_for).
  [[nodiscard]] std::string refusal(const Policy& policy, const NetworkView& view) const;
  // What the translator has to know of the node.
  void fill(RuntimeOptions& options, const Policy& policy, const NetworkView& view) const;

  // Before the first packet can come: the packet filter.
  [[nodiscard]] Result<void, std::string> filter(const std::set<Ipv4Prefix>& pools);
  // After the workers are ready: the routes that bring packets.
  [[nodiscard]] Result<void, std::string> route(const std::set<Ipv6Prefix>& prefixes,
                                                const std::set<Ipv4Prefix>& pools, const NetworkView& view);
  // Now and then: makes again what others took away, as the reload of a firewall does.
  void mend(const NetworkView& view);
  // Removes all of it.
  void remove();

  [[nodiscard]] int our_end() const { return link_->our_end(); }

 private:
  NodeMode() = default;
  [[nodiscard]] Result<void, std::string> install_table();
  void accept_in_forward();
  [[nodiscard]] std::vector<NftChain> chains(Which which);
  [[nodiscard]] NftOwnRules rules_in(const NftChain& chain);

  std::unique_ptr<NodeLink> link_;
  std::unique_ptr<Nft> nft_;
  std::set<Ipv4Prefix> filtered_;  // what the masquerading table was made for
  std::set<Ipv6Prefix> prefixes_;  // routed
  std::set<Ipv4Prefix> pools_;     // routed
};

// MTU of the way to the IPv4 internet, 1500 when there is none now.
[[nodiscard]] std::uint32_t uplink4_mtu(const NetworkView& view);

}  // namespace isthmus::nat64
