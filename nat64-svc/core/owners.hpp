// SPDX-License-Identifier: Apache-2.0
// Who owns what when several workers share a node: an IPv6 packet belongs to the worker of its subscriber, an
// IPv4 packet to the worker that has the block of its port, a fragment of one to the worker that its
// addresses and identification lead to. The same in every worker.
#pragma once

#include <algorithm>

#include "nat64-svc/core/runtime.hpp"

namespace isthmus::nat64 {

[[nodiscard]] inline Ipv6Address subscriber_prefix(const Runtime& runtime, const Ipv6Address& client6) {
  const unsigned length = runtime.pools.empty() ? 128 : runtime.pools.front().subscribers.prefix_length;
  return Ipv6Prefix{client6, length}.address();
}

// How many subscribers one /64 may have; those that are as large as that are not counted.
[[nodiscard]] inline std::uint32_t most_per_64(const Runtime& runtime) {
  if (runtime.pools.empty() || runtime.pools.front().subscribers.prefix_length <= 64) return 0xffffffff;
  return runtime.pools.front().subscribers.max_per_64;
}

[[nodiscard]] inline std::uint16_t client_owner(const Runtime& runtime, const Ipv6Address& client6) {
  if (runtime.options.workers <= 1) return 0;
  const auto subscriber = subscriber_prefix(runtime, client6);
  const auto hash = keyed_hash(runtime.options.key, subscriber.high(), subscriber.low());
  return static_cast<std::uint16_t>((hash >> 32) * runtime.options.workers >> 32);
}

// Static mappings belong to their client's worker, wherever the port lies. The others to the worker that has
// the block; a block that nobody has leads nowhere, which any worker can say.
[[nodiscard]] inline std::uint16_t public4_owner(const Runtime& runtime, Protocol protocol,
                                                 const TransportAddress4& public4) {
  if (runtime.options.workers <= 1) return 0;
  const auto key = [](const StaticMapping& m) { return std::pair{m.public4, m.protocol}; };
  const auto mapping =
      std::ranges::lower_bound(runtime.static_mappings, std::pair{public4, protocol}, {}, key);
  if (mapping != runtime.static_mappings.end() && key(*mapping) == std::pair{public4, protocol})
    return client_owner(runtime, mapping->client6.address);
  const auto address =
      std::ranges::lower_bound(runtime.addresses, public4.address, {}, &RuntimeAddress::address);
  if (address == runtime.addresses.end() || address->address != public4.address || !address->owners)
    return runtime.options.worker;
  const auto owner = address->owners->owner(public4.port);
  return owner == BlockOwners::kNobody ? runtime.options.worker : owner;
}

// The worker where the fragments of one IPv4 packet meet; it hands them on once the ports are known. (Those
// of an IPv6 packet meet at their client's worker.)
[[nodiscard]] inline std::uint16_t fragment_owner(const Runtime& runtime, Ipv4Address source,
                                                  Ipv4Address destination, std::uint32_t id) {
  if (runtime.options.workers <= 1) return 0;
  const auto hash =
      keyed_hash(runtime.options.key, std::uint64_t{source.value()} << 32 | destination.value(), id);
  return static_cast<std::uint16_t>((hash >> 32) * runtime.options.workers >> 32);
}

}  // namespace isthmus::nat64
