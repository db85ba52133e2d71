// SPDX-License-Identifier: Apache-2.0
// What the controller gives to one service beside the policy: leased addresses for a NAT64 node, the healthy
// set for DNS64.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/config/policy.hpp"

namespace isthmus {

struct LeasedAddress {
  Ipv4Address address;
  std::string pool;  // name in the policy
  OnExpiry on_expiry = OnExpiry::kHold;
  Duration term = std::chrono::seconds{60};
  bool withdrawn = false;
  std::optional<Duration> withdraw_within;
  bool operator==(const LeasedAddress&) const = default;
};

struct NodePrefix {
  std::string translation_prefix;  // name in the policy
  Pref64 prefix;                   // a /96
  std::string node_id;
  bool operator==(const NodePrefix&) const = default;
};

struct Allocation {
  bool draining = false;
  std::vector<LeasedAddress> addresses;
  std::vector<NodePrefix> node_prefixes;
  bool operator==(const Allocation&) const = default;
};

struct HealthyNode {
  std::string node_id;
  std::vector<NodePrefix> prefixes;
  bool operator==(const HealthyNode&) const = default;
};

// A translation prefix that was in answers and is no longer.
struct RetiredPrefix {
  Ipv6Prefix prefix;
  unsigned embed_length = 96;  // of the prefixes that addresses were made with (TranslationPrefix)
  bool operator==(const RetiredPrefix&) const = default;
};

struct HealthySet {
  std::vector<HealthyNode> nodes;
  std::vector<RetiredPrefix> retired_prefixes;
  bool operator==(const HealthySet&) const = default;
};

}  // namespace isthmus
