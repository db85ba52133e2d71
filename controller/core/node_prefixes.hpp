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
  void set_policy(const Policy& policy);
  // One prefix per PER_NODE parent; a parent whose slots are all taken gives none.
  [[nodiscard]] std::vector<NodePrefix> of(const std::string& node_id);
  void forget(const std::string& node_id);

 private:
  struct Parent {
    Ipv6Prefix prefix;
    std::map<std::string, std::uint64_t> slot_of;
    std::set<std::uint64_t> taken;
  };
  std::map<std::string, Parent> parents_;  // by name of the translation prefix
};

}  // namespace isthmus::controller
