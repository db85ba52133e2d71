// SPDX-License-Identifier: Apache-2.0
// The /96 of each NAT64 node under each PER_NODE parent: a slot found by hashing node_id, so that a
// controller that forgot everything gives the same prefixes again (but for collisions); kept as long as the
// parent stays.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "common/config/allocation.hpp"
#include "common/config/policy.hpp"

namespace isthmus::controller {

class NodePrefixes {
 public:
  // Keeps the parents of this policy and forgets others.
  void set_policy(const Policy& policy) { set_policies({&policy}); }
  void set_policies(const std::vector<const Policy*>& policies);
  // One prefix per PER_NODE parent of `policy` that was set; a parent whose slots are all taken gives none.
  [[nodiscard]] std::vector<NodePrefix> of(const std::string& node_id, const Policy& policy);
  void forget(const std::string& node_id);

 private:
  struct Parent {
    std::map<std::string, std::uint64_t> slot_of;
    std::set<std::uint64_t> taken;
  };
  std::map<Ipv6Prefix, Parent> parents_;  // by prefix, not by name: a renamed one stays
};

}  // namespace isthmus::controller
