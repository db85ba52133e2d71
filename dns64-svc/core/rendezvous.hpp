// SPDX-License-Identifier: Apache-2.0
// Rendezvous hashing (highest random weight): each client's /64 ranks all nodes by a hash of the pair and
// takes the first. Every replica chooses alike without talking to the others, and when a node leaves only its
// own clients move. The hash must be the same in all replicas and across restarts: it is not keyed per
// process.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "common/net/ipv6_address.hpp"
#include "common/net/keyed_hash.hpp"

namespace isthmus::dns64 {

// A stable number for a node's id; compute once per node.
[[nodiscard]] inline std::uint64_t rendezvous_node(std::string_view node_id) {
  std::uint64_t state = 0xcbf29ce484222325ULL;  // FNV-1a, then mixed
  for (const char c : node_id) state = (state ^ static_cast<std::uint8_t>(c)) * 0x100000001b3ULL;
  return mix(state ^ 0x8ebc6af09c88c6e3ULL, 0x589965cc75374cc3ULL);
}

[[nodiscard]] inline std::uint64_t rendezvous_weight(std::uint64_t client_64, std::uint64_t node) {
  return mix(client_64 ^ node, node ^ 0x1d8e4e27c47d124fULL) ^
         mix(client_64 + 0xeb44accab455d165ULL, node | 1);
}

// Index of the node for the client whose upper 64 address bits are `client_64`; nodes is not empty.
[[nodiscard]] inline std::size_t rendezvous_choose(std::uint64_t client_64,
                                                   std::span<const std::uint64_t> nodes) {
  std::size_t best = 0;
  std::uint64_t best_weight = 0;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const auto weight = rendezvous_weight(client_64, nodes[i]);
    if (i == 0 || weight > best_weight || (weight == best_weight && nodes[i] < nodes[best])) {
      best = i;
      best_weight = weight;
    }
  }
  return best;
}

}  // namespace isthmus::dns64
