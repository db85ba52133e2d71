// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/core/rendezvous.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace isthmus::dns64 {
namespace {

TEST(Rendezvous, OnlyTheClientsOfANodeThatLeavesMove) {
  std::vector<std::uint64_t> nodes;
  for (const char* id : {"a", "b", "c", "d", "e"}) nodes.push_back(rendezvous_node(id));
  auto fewer = nodes;
  fewer.erase(fewer.begin() + 2);
  for (std::uint64_t client = 0x20010db800000000; client < 0x20010db800000000 + 10000; ++client) {
    const auto before = nodes[rendezvous_choose(client, nodes)];
    if (before != nodes[2]) {
      ASSERT_EQ(fewer[rendezvous_choose(client, fewer)], before) << client;
    }
  }
}

TEST(Rendezvous, NodesShareTheClientsEvenly) {
  std::vector<std::uint64_t> nodes;
  for (const char* id : {"gw-1", "gw-2", "gw-3", "gw-4"}) nodes.push_back(rendezvous_node(id));
  std::vector<int> share(nodes.size());
  for (std::uint64_t i = 0; i < 40000; ++i) ++share[rendezvous_choose(0x20010db800000000 + (i << 8), nodes)];
  for (const int s : share) EXPECT_NEAR(s, 10000, 500);
}

// 10,000 /64s of one /48 as a site assigns them, one after the other, over ten nodes: each gets its share
// within a tenth.
TEST(Rendezvous, TenThousandAssignedPrefixesSpreadOverTenNodes) {
  for (const char* scheme : {"gateway-", "nat64-svc-", "10.0.0."}) {
    std::vector<std::uint64_t> nodes;
    for (int i = 0; i < 10; ++i) nodes.push_back(rendezvous_node(scheme + std::to_string(i)));
    std::vector<int> share(nodes.size());
    for (std::uint64_t i = 0; i < 10000; ++i) ++share[rendezvous_choose(0x20010db800000000 + i, nodes)];
    for (const int s : share) EXPECT_NEAR(s, 1000, 100) << scheme;
  }
}

TEST(Rendezvous, TheOrderOfTheNodesDoesNotMatter) {
  const std::vector<std::uint64_t> nodes{rendezvous_node("x"), rendezvous_node("y"), rendezvous_node("z")};
  const std::vector<std::uint64_t> turned{nodes[2], nodes[0], nodes[1]};
  for (std::uint64_t client = 1; client < 2000; ++client)
    ASSERT_EQ(nodes[rendezvous_choose(client, nodes)], turned[rendezvous_choose(client, turned)]);
}

}  // namespace
}  // namespace isthmus::dns64
