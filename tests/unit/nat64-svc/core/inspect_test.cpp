// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/core/inspect.hpp"

#include <gtest/gtest.h>

#include <set>

#include "tests/support/nat64_harness.hpp"

namespace isthmus::nat64 {
namespace {

using test::PacketBuilder;

class Inspect : public ::testing::Test {
 protected:
  // `count` clients, each in a /64 of its own, each with one UDP session to either of two servers.
  void open(unsigned count) {
    for (unsigned i = 0; i < count; ++i) {
      const auto client = "2001:db8:1:" + std::to_string(i) + "::1";
      const auto server = i % 2 == 0 ? "64:ff9b::198.41.0.4" : "64:ff9b::198.41.0.5";
      const auto out = nat.from_v6(PacketBuilder::ipv6(client, server).udp(4000, 53).bytes());
      ASSERT_EQ(out.verdict.action, Verdict::Action::kForward);
    }
  }
  const WorkerState& state() { return nat.translator.state(); }
  test::Nat64Harness nat;
};

TEST_F(Inspect, PagesShowEachMappingOnceAndEnd) {
  open(50);
  std::set<std::string> seen;
  std::optional<std::uint32_t> at = 0;
  int pages = 0;
  while (at) {
    const auto page = list_mappings(state(), {}, *at, 7, 5);
    EXPECT_LE(page.items.size(), 5U);
    for (const auto& m : page.items) EXPECT_TRUE(seen.insert(m.client6.to_string()).second);
    at = page.next;
    ASSERT_LT(++pages, 100);
  }
  EXPECT_EQ(seen.size(), 50U);
}

TEST_F(Inspect, FiltersChooseSessionsByEitherEnd) {
  open(10);
  Filter to_five;
  to_five.server4 = Ipv4Prefix::parse("198.41.0.5/32");
  EXPECT_EQ(list_sessions(state(), to_five, 0, 1000, 1000, nat.now).items.size(), 5U);
  Filter one_client;
  one_client.client6 = Ipv6Prefix::parse("2001:db8:1:3::/64");
  const auto one = list_sessions(state(), one_client, 0, 1000, 1000, nat.now);
  ASSERT_EQ(one.items.size(), 1U);
  EXPECT_EQ(one.items[0].six.client6.to_string(), "[2001:db8:1:3::1]:4000");
  Filter none;
  none.protocol = Protocol::kTcp;
  EXPECT_TRUE(list_sessions(state(), none, 0, 1000, 1000, nat.now).items.empty());
}

TEST_F(Inspect, ASessionTellsWhenItWillEnd) {
  open(1);
  const auto fresh = list_sessions(state(), {}, 0, 10, 10, nat.now).items.at(0).expires_in;
  EXPECT_GE(fresh, std::chrono::seconds{300});
  EXPECT_LT(fresh, std::chrono::seconds{301});
  nat.now += std::chrono::seconds{100};
  EXPECT_EQ(list_sessions(state(), {}, 0, 10, 10, nat.now).items.at(0).expires_in,
            fresh - std::chrono::seconds{100});
}

TEST_F(Inspect, WhoHasAPublicPortIsFoundWithItsBlock) {
  open(3);
  const auto all = list_mappings(state(), {}, 0, 100, 100).items;
  ASSERT_EQ(all.size(), 3U);
  const auto found = find_mapping(state(), Protocol::kUdp, all[1].public4);
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->client6, all[1].client6);
  EXPECT_FALSE(find_mapping(state(), Protocol::kTcp, all[1].public4).has_value());
  const auto block = find_block(state(), all[1].public4);
  ASSERT_TRUE(block.has_value());
  EXPECT_TRUE(block->subscriber.contains(all[1].client6.address));
  EXPECT_LE(block->first.port, all[1].public4.port);
  EXPECT_GE(block->last_port, all[1].public4.port);
  EXPECT_FALSE(find_block(state(), {Ipv4Address{192, 0, 2, 1}, 80}).has_value());
}

}  // namespace
}  // namespace isthmus::nat64
