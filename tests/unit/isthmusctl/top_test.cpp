// SPDX-License-Identifier: Apache-2.0
#include "isthmusctl/top.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace isthmus {
namespace {

v1::Node* nat64(v1::ListNodesResponse& nodes, const std::string& name, const std::string& incarnation,
                std::uint64_t packets) {
  auto* node = nodes.add_nodes();
  node->set_node_id(name);
  node->set_kind(v1::NAT64);
  node->set_incarnation(incarnation);
  node->set_connected(true);
  auto* report = node->mutable_report();
  report->set_serving(true);
  report->mutable_nat64()->set_packets_translated(packets);
  report->mutable_nat64()->set_blocks_used(1);
  report->mutable_nat64()->set_blocks_total(4);
  report->mutable_nat64()->set_sessions(1234567);
  return node;
}

TEST(Top, TheBusiestComesFirstWithItsRates) {
  v1::ListNodesResponse before, now;
  nat64(before, "gw1", "a", 1000);
  nat64(before, "gw2", "b", 1000);
  nat64(now, "gw1", "a", 1500);
  nat64(now, "gw2", "b", 51000);
  EXPECT_EQ(show_top(before, now, 2),
            "NODE  KIND   STATE    PER_SECOND  LOST_PER_SECOND  SESSIONS  BLOCKS  ADDRESSES\n"
            "gw2   nat64  Serving  25.0k       0                1.23M     25%     0\n"
            "gw1   nat64  Serving  250         0                1.23M     25%     0\n");
}

TEST(Top, ARestartedNodeHasNoRateYet) {
  v1::ListNodesResponse before, now;
  nat64(before, "gw1", "a", 1000);
  nat64(now, "gw1", "z", 2000);
  EXPECT_THAT(show_top(before, now, 2), testing::HasSubstr("Serving  -           -"));
}

}  // namespace
}  // namespace isthmus
