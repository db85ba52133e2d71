// SPDX-License-Identifier: Apache-2.0
// Everything a worker needs to know, compiled from policy and allocation into the shape the packet path
// wants. Immutable; one per worker (they differ in `worker`), replaced as a whole.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/result.hpp"
#include "common/config/allocation.hpp"
#include "common/config/policy.hpp"
#include "common/net/keyed_hash.hpp"
#include "nat64-svc/core/block_owners.hpp"
#include "nat64-svc/core/ipv4_range_set.hpp"

namespace isthmus::nat64 {

struct RuntimeOptions {
  // Sources of the ICMP errors that we originate. Unspecified: the address that the packet was sent to.
  Ipv6Address own6{};
  Ipv4Address own4{};
  // Of the sides, where the shell's RouteMtu does not say otherwise. At least 1280 and 68.
  std::uint32_t mtu6 = 1500;
  std::uint32_t mtu4 = 1500;
  HashKey key{};  // the same for all workers: it decides who owns what
  std::uint16_t worker = 0;
  std::uint16_t workers = 1;
  std::shared_ptr<BlockShare> blocks = nullptr;  // the same for all workers; a single one can do without
};

// One translation prefix, ready to match. Sorted by prefix length, longest first.
struct RuntimePrefix {
  Ipv6Prefix prefix;
  unsigned embed_length = 96;
  std::optional<Pref64> own;  // what inbound peers are embedded in: itself, or this node's /96 of a parent
  bool allow_non_global = false;
  std::vector<Ipv6Prefix> clients;
  std::vector<Ipv4Prefix> ipv4_ranges;
};

struct RuntimePool {
  std::string name;
  PortRange ports;
  Subscribers subscribers;
};

struct RuntimeAddress {
  Ipv4Address address;
  std::uint16_t pool = 0;  // index into pools
  bool withdrawn = false;  // no new mappings
  std::optional<Duration> withdraw_within;
  std::shared_ptr<BlockOwners> owners;
};

struct Runtime {
  std::vector<RuntimePrefix> prefixes;
  Ipv4RangeSet exclusions;
  std::vector<RuntimePool> pools;
  std::vector<RuntimeAddress> addresses;       // sorted by address
  std::vector<StaticMapping> static_mappings;  // sorted by public4, protocol
  Nat64Policy nat64;
  RuntimeOptions options;
};

// Pure. Violations have paths into the policy, or "allocation...." and "options....".
[[nodiscard]] Result<std::shared_ptr<const Runtime>, std::vector<Violation>> make_runtime(
    const Policy& policy, const Allocation& allocation, RuntimeOptions options);

}  // namespace isthmus::nat64
