// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/core/runtime.hpp"

#include <algorithm>

namespace isthmus::nat64 {
namespace {

std::string at(const char* list, std::size_t index, const char* field) {
  return std::string{list} + "[" + std::to_string(index) + "]" + field;
}

// A node without a /96 of its own under the parent still translates what comes; inbound peers get the first
// /96.
std::optional<Pref64> own_prefix(const TranslationPrefix& p, const Allocation& allocation) {
  if (p.assignment == Assignment::kShared) return Pref64::make(p.prefix);
  for (const auto& n : allocation.node_prefixes) {
    if (n.translation_prefix == p.name) return n.prefix;
  }
  return Pref64::make(Ipv6Prefix{p.prefix.address(), 96});
}

class Builder {
 public:
  Builder(const Policy& policy, const Allocation& allocation) : policy_(policy), allocation_(allocation) {}

  void prefixes(Runtime& out) {
    for (std::size_t i = 0; i < policy_.translation_prefixes.size(); ++i) {
      const auto& p = policy_.translation_prefixes[i];
      auto own = own_prefix(p, allocation_);
      if (!own) {
        fail(at("translation_prefixes", i, ".prefix"), p.prefix.to_string() + " is no prefix of RFC 6052");
        continue;
      }
      // Longest first; the policy's order among equals.
      const auto at = std::ranges::find_if(out.prefixes, [&](const RuntimePrefix& other) {
        return other.prefix.length() < p.prefix.length();
      });
      out.prefixes.insert(at, {p.prefix, p.embed_length(), own, p.allow_non_global && !own->is_well_known(),
                               p.clients, p.ipv4_ranges});
    }
  }

  void pools(Runtime& out) {
    for (std::size_t i = 0; i < policy_.pools.size(); ++i) {
      const auto& p = policy_.pools[i];
      if (p.subscribers != policy_.pools.front().subscribers)
        fail(at("pools", i, ".subscribers"), "differs from pools[0].subscribers; give all pools the same");
      out.pools.push_back({p.name, p.ports, p.subscribers});
      if (p.kind != PoolKind::kNodeLocal) continue;
      for (const auto& prefix : p.addresses) {
        if (prefix.length() < 20) {
          fail(at("pools", i, ".addresses"),
               prefix.to_string() + " is too large for a node; use a /20 or less");
          continue;
        }
        for (std::uint64_t n = 0; n < prefix.size(); ++n)
          add_address(out, {Ipv4Address{prefix.address().value() + static_cast<std::uint32_t>(n)},
                            static_cast<std::uint16_t>(i), false, std::nullopt, nullptr});
      }
    }
  }

  void leases(Runtime& out) {
    for (std::size_t i = 0; i < allocation_.addresses.size(); ++i) {
      const auto& lease = allocation_.addresses[i];
      const auto pool = std::ranges::find(policy_.pools, lease.pool, &Pool::name);
      if (pool == policy_.pools.end()) {
        fail(at("allocation.addresses", i, ".pool"), "the policy has no pool \"" + lease.pool + "\"");
        continue;
      }
      add_address(out, {lease.address, static_cast<std::uint16_t>(pool - policy_.pools.begin()),
                        lease.withdrawn, lease.withdraw_within, nullptr});
    }
    std::ranges::sort(out.addresses, {}, &RuntimeAddress::address);
  }

  // Mappings to addresses that this node does not hold belong to other nodes.
  void static_mappings(Runtime& out) {
    for (const auto& m : policy_.static_mappings) {
      if (std::ranges::binary_search(out.addresses, m.public4.address, {}, &RuntimeAddress::address))
        out.static_mappings.push_back(m);
    }
    std::ranges::sort(out.static_mappings, {},
                      [](const StaticMapping& m) { return std::pair{m.public4, m.protocol}; });
  }

  static void block_owners(Runtime& out) {
    for (auto& a : out.addresses) {
      const auto& pool = out.pools[a.pool];
      const auto size = pool.subscribers.ports_per_block;
      a.owners = out.options.blocks != nullptr ? out.options.blocks->of(a.address, size, pool.ports)
                                               : std::make_shared<BlockOwners>(size, pool.ports);
    }
  }

  void options(const Runtime& out) {
    if (out.options.mtu6 < 1280) fail("options.mtu6", "IPv6 needs at least 1280");
    if (out.options.mtu4 < 68) fail("options.mtu4", "IPv4 needs at least 68");
    if (out.options.workers > 1 && out.options.blocks == nullptr)
      fail("options.blocks", "several workers need to share their ports");
    if (out.options.workers == 0 || out.options.worker >= out.options.workers)
      fail("options.worker", "must be less than the number of workers");
  }

  std::vector<Violation> violations;

 private:
  void fail(std::string path, std::string message) {
    violations.push_back({std::move(path), std::move(message)});
  }
  void add_address(Runtime& out, const RuntimeAddress& address) {
    const bool known =
        std::ranges::find(out.addresses, address.address, &RuntimeAddress::address) != out.addresses.end();
    if (!known) out.addresses.push_back(address);
  }
  const Policy& policy_;
  const Allocation& allocation_;
};

}  // namespace

Result<std::shared_ptr<const Runtime>, std::vector<Violation>> make_runtime(const Policy& policy,
                                                                            const Allocation& allocation,
                                                                            RuntimeOptions options) {
  auto out = std::make_shared<Runtime>();
  out->options = options;
  out->nat64 = policy.nat64;
  out->exclusions = Ipv4RangeSet{policy.exclusions.ipv4_destinations};
  Builder build{policy, allocation};
  build.prefixes(*out);
  build.pools(*out);
  build.leases(*out);
  build.static_mappings(*out);
  build.options(*out);
  if (!build.violations.empty()) return failure(std::move(build.violations));
  Builder::block_owners(*out);
  return std::shared_ptr<const Runtime>{std::move(out)};
}

}  // namespace isthmus::nat64
