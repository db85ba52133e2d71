// SPDX-License-Identifier: Apache-2.0
// Who owns what when several workers share a node: an IPv6 packet belongs to the worker of its subscriber, an
// IPv4 packet to the worker of its slice of ports. Pure functions of runtime and packet, the same in every
// worker.
#pragma once

#include <algorithm>

#include "nat64-svc/core/runtime.hpp"

namespace isthmus::nat64 {

[[nodiscard]] inline Ipv6Address subscriber_prefix(const Runtime& runtime, const Ipv6Address& client6) {
  const unsigned length = runtime.pools.empty() ? 128 : runtime.pools.front().subscribers.prefix_length;
  return Ipv6Prefix{client6, length}.address();
}

[[nodiscard]] inline std::uint16_t client_owner(const Runtime& runtime, const Ipv6Address& client6) {
  if (runtime.options.workers <= 1) return 0;
  const auto subscriber = subscriber_prefix(runtime, client6);
  const auto hash = keyed_hash(runtime.options.key, subscriber.high(), subscriber.low());
  return static_cast<std::uint16_t>((hash >> 32) * runtime.options.workers >> 32);
}

// 2048 ports, or a block when blocks are larger. The address shifts the deal, so that each worker has some of
// each.
[[nodiscard]] inline std::uint16_t slice_owner(const Runtime& runtime, Ipv4Address address,
                                               std::uint16_t port) {
  if (runtime.options.workers <= 1) return 0;
  const std::uint32_t size = std::max<std::uint32_t>(
      2048, runtime.pools.empty() ? 0 : runtime.pools.front().subscribers.ports_per_block);
  return static_cast<std::uint16_t>((port / size + address.value()) % runtime.options.workers);
}

// Static mappings belong to their client's worker, wherever the port lies.
[[nodiscard]] inline std::uint16_t public4_owner(const Runtime& runtime, Protocol protocol,
                                                 const TransportAddress4& public4) {
  if (runtime.options.workers <= 1) return 0;
  const auto mapping = std::ranges::find_if(runtime.static_mappings, [&](const StaticMapping& m) {
    return m.protocol == protocol && m.public4 == public4;
  });
  if (mapping != runtime.static_mappings.end()) return client_owner(runtime, mapping->client6.address);
  return slice_owner(runtime, public4.address, public4.port);
}

}  // namespace isthmus::nat64
