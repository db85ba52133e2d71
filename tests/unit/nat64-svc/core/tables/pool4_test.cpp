// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/core/tables/pool4.hpp"

#include <gtest/gtest.h>

#include <set>

#include "tests/support/nat64_harness.hpp"

namespace isthmus::nat64 {
namespace {

struct Case {
  Policy policy = test::nat64_policy();
  Allocation allocation = test::nat64_allocation();
  Pool4 pool;
  Subscriber subscriber;
  std::uint64_t random = 1;
  TimePoint now{std::chrono::hours{1}};

  explicit Case(std::uint32_t ports_per_block = 256, std::uint32_t max_blocks = 8, PortRange ports = {}) {
    policy.pools[0].subscribers.ports_per_block = ports_per_block;
    policy.pools[0].subscribers.max_blocks = max_blocks;
    policy.pools[0].ports = ports;
    configure();
  }
  void configure() { pool.configure(*make_runtime(policy, allocation, {}).value()); }
  Result<Pool4::Grant, DropReason> take(Protocol protocol = Protocol::kUdp, std::uint16_t port6 = 1000) {
    return take_for(subscriber, protocol, port6);
  }
  Result<Pool4::Grant, DropReason> take_for(Subscriber& whom, Protocol protocol = Protocol::kUdp,
                                            std::uint16_t port6 = 1000) {
    random = random * 6364136223846793005ULL + 1442695040888963407ULL;
    return pool.allocate(whom, 0, protocol, port6, random ^ random >> 29, now);
  }
};

TEST(Pool4, ASubscriberStaysOnOneAddressAndInItsBlock) {
  Case c;
  std::set<std::uint16_t> seen;
  std::set<Ipv4Address> addresses;
  for (int i = 0; i < 256; ++i) {
    const auto grant = c.take(Protocol::kTcp);
    ASSERT_TRUE(grant);
    EXPECT_EQ(grant->new_block != kNone, i == 0);
    seen.insert(grant->public4.port);
    addresses.insert(grant->public4.address);
  }
  EXPECT_EQ(seen.size(), 256U);
  EXPECT_EQ(*seen.rbegin() - *seen.begin(), 255);
  EXPECT_EQ(addresses.size(), 1U);
  EXPECT_EQ(c.pool.blocks_used(), 1U);
}

// Paired pooling puts all of a subscriber's blocks on one address, which may be withdrawn.
TEST(Pool4, BlocksAtAnAddressThatDrainsDoNotCountAgainstTheLimit) {
  Case c{64, 2};
  for (int i = 0; i < 128; ++i) ASSERT_TRUE(c.take(Protocol::kTcp));
  EXPECT_EQ(c.take(Protocol::kTcp).error(), DropReason::kBlockLimit);
  const auto home = c.pool.ports_of(c.subscriber.first_block).address;
  for (auto& lease : c.allocation.addresses) lease.withdrawn = lease.address == home;
  c.configure();
  EXPECT_EQ(c.pool.would_refuse(&c.subscriber, Protocol::kTcp), std::nullopt);
  for (int i = 0; i < 128; ++i) {
    const auto grant = c.take(Protocol::kTcp);
    ASSERT_TRUE(grant);
    EXPECT_NE(grant->public4.address, home);
  }
  EXPECT_EQ(c.take(Protocol::kTcp).error(), DropReason::kBlockLimit);
  EXPECT_EQ(c.pool.would_refuse(&c.subscriber, Protocol::kTcp), DropReason::kBlockLimit);
}

TEST(Pool4, EachSubscriberGetsAnAddressOfItsOwnWhileThereAreSome) {
  Case c;
  for (std::uint8_t last = 10; last < 74; ++last) {
    auto& lease = c.allocation.addresses.emplace_back();
    lease.address = Ipv4Address{203, 0, 113, last};
    lease.pool = "public";
  }
  c.configure();
  std::set<Ipv4Address> addresses;
  std::vector<Subscriber> subscribers(c.pool.addresses());
  for (auto& subscriber : subscribers) {
    c.subscriber = subscriber;
    addresses.insert(c.take()->public4.address);
  }
  EXPECT_EQ(addresses.size(), subscribers.size());
  c.subscriber = {};
  EXPECT_TRUE(c.take()) << "then they share";
}

TEST(Pool4, UdpKeepsParityWhileItLasts) {
  Case c;
  for (int i = 0; i < 128; ++i) EXPECT_EQ(c.take(Protocol::kUdp, 1001)->public4.port % 2, 1);
  EXPECT_EQ(c.take(Protocol::kUdp, 1001)->public4.port % 2, 0);
  EXPECT_EQ(c.pool.blocks_used(), 1U);
}

TEST(Pool4, ProtocolsDoNotShareNumbers) {
  Case c{16, 1};
  for (int i = 0; i < 16; ++i) {
    EXPECT_TRUE(c.take(Protocol::kTcp));
    EXPECT_TRUE(c.take(Protocol::kUdp));
    EXPECT_TRUE(c.take(Protocol::kIcmp));
  }
  EXPECT_EQ(c.take(Protocol::kTcp).error(), DropReason::kBlockLimit);
}

TEST(Pool4, MoreBlocksComeOnDemandUpToTheLimit) {
  Case c{16, 3};
  for (int i = 0; i < 48; ++i) ASSERT_TRUE(c.take());
  EXPECT_EQ(c.pool.blocks_used(), 3U);
  EXPECT_EQ(c.take().error(), DropReason::kBlockLimit);
}

TEST(Pool4, PortsStayInsideTheRangeOfThePool) {
  Case c{256, 100, {2000, 2299}};
  std::set<std::uint32_t> seen;
  for (int i = 0; i < 600; ++i) {
    const auto grant = c.take();
    ASSERT_TRUE(grant) << i;
    EXPECT_GE(grant->public4.port, 2000);
    EXPECT_LE(grant->public4.port, 2299);
    seen.insert(grant->public4.address.value() << 16 ^ grant->public4.port);
  }
  EXPECT_EQ(seen.size(), 600U);
  EXPECT_EQ(c.take().error(), DropReason::kPoolExhausted);
}

TEST(Pool4, GivingBackTheLastPortFreesTheBlock) {
  Case c;
  const auto a = c.take()->public4;
  const auto b = c.take()->public4;
  EXPECT_EQ(c.pool.release(c.subscriber, Protocol::kUdp, a, c.now), kNone);
  EXPECT_NE(c.pool.release(c.subscriber, Protocol::kUdp, b, c.now), kNone);
  EXPECT_EQ(c.pool.blocks_used(), 0U);
  EXPECT_EQ(c.subscriber.blocks, 0U);
}

TEST(Pool4, AWithdrawnAddressGivesNothingNew) {
  Case c;
  const auto first = c.take()->public4.address;
  for (auto& lease : c.allocation.addresses) lease.withdrawn = lease.address == first;
  c.configure();
  for (int i = 0; i < 10; ++i) EXPECT_NE(c.take()->public4.address, first);
  for (auto& lease : c.allocation.addresses) lease.withdrawn = true;
  c.configure();
  EXPECT_EQ(c.take().error(), DropReason::kNoPoolAddress);
}

TEST(Pool4, PortsOfStaticMappingsAreNeverGivenOut) {
  Case c{256, 8, {1024, 1279}};
  for (std::uint16_t port = 1024; port < 1279; ++port) {
    for (const auto last : {1, 2})
      c.policy.static_mappings.push_back({Protocol::kTcp,
                                          {Ipv6Address{}, port},
                                          {Ipv4Address{203, 0, 113, static_cast<std::uint8_t>(last)}, port}});
  }
  c.configure();
  EXPECT_EQ(c.take(Protocol::kTcp)->public4.port, 1279);
  EXPECT_EQ(c.take(Protocol::kTcp)->public4.port, 1279);
  EXPECT_FALSE(c.take(Protocol::kTcp));
  EXPECT_TRUE(c.take(Protocol::kUdp));
}

TEST(Pool4, ABlockOfStaticPortsOnlyIsPassedOver) {
  Case c{256, 8, {1024, 1535}};
  for (std::uint16_t port = 1024; port < 1280; ++port) {
    for (const auto last : {1, 2})
      c.policy.static_mappings.push_back({Protocol::kTcp,
                                          {Ipv6Address{}, port},
                                          {Ipv4Address{203, 0, 113, static_cast<std::uint8_t>(last)}, port}});
  }
  c.configure();
  for (int i = 0; i < 512; ++i) {
    const auto grant = c.take(Protocol::kTcp);
    ASSERT_TRUE(grant) << i;
    EXPECT_GE(grant->public4.port, 1280);
  }
  EXPECT_EQ(c.pool.blocks_used(), 2U);
  EXPECT_EQ(c.take(Protocol::kTcp).error(), DropReason::kPoolExhausted);
  EXPECT_TRUE(c.take(Protocol::kUdp));
}

TEST(Pool4, APortThatBecameStaticWhileInUseStaysReservedWhenItIsGivenBack) {
  Case c{16, 1};
  const auto taken = c.take()->public4;
  ASSERT_TRUE(c.take());  // keeps the block
  c.policy.static_mappings = {{Protocol::kUdp, {Ipv6Address{}, 53}, taken}};
  c.configure();
  c.pool.reserve_static_ports();
  c.pool.release(c.subscriber, Protocol::kUdp, taken, c.now);
  for (int i = 0; i < 14; ++i) EXPECT_NE(c.take()->public4.port, taken.port);
  EXPECT_EQ(c.take().error(), DropReason::kBlockLimit);
}

TEST(Pool4, APortThatIsStaticNoMoreIsGivenOutAgainFromABlockInUse) {
  Case c{16, 1, {1024, 1039}};
  c.allocation.addresses.resize(1);
  c.policy.static_mappings = {{Protocol::kUdp, {Ipv6Address{}, 53}, {Ipv4Address{203, 0, 113, 1}, 1030}}};
  c.configure();
  const TransportAddress4 freed = c.policy.static_mappings[0].public4;
  for (int i = 0; i < 15; ++i) EXPECT_NE(c.take()->public4.port, freed.port);
  EXPECT_FALSE(c.take());
  c.pool.free_static_port(Protocol::kUdp, freed);
  EXPECT_FALSE(c.take()) << "it is static still";
  c.policy.static_mappings.clear();
  c.configure();
  c.pool.free_static_port(Protocol::kUdp, freed);
  EXPECT_EQ(c.take()->public4, freed);
}

TEST(Pool4, AFormerStaticPortOutsideTheRangeStaysOutside) {
  Case c{16, 1, {1024, 1030}};
  c.allocation.addresses.resize(1);
  c.configure();
  ASSERT_TRUE(c.take());
  c.pool.free_static_port(Protocol::kUdp, {Ipv4Address{203, 0, 113, 1}, 1035});
  for (int i = 0; i < 6; ++i) EXPECT_LE(c.take()->public4.port, 1030);
  EXPECT_FALSE(c.take());
}

TEST(Pool4, AnAddressThatIsGoneIsForgottenWithItsLastPort) {
  Case c;
  const auto kept = c.take()->public4;
  const auto before = c.allocation;
  c.allocation.addresses.clear();
  c.configure();
  const Ipv4Address other{203, 0, 113, static_cast<std::uint8_t>(3 - kept.address.value() % 4)};
  EXPECT_TRUE(c.pool.contains(kept.address));
  EXPECT_FALSE(
      c.pool.contains(Ipv4Address{203, 0, 113, static_cast<std::uint8_t>(kept.address.value() % 4 ^ 3)}));
  EXPECT_EQ(c.take().error(), DropReason::kNoPoolAddress);
  c.pool.release(c.subscriber, Protocol::kUdp, kept, c.now);
  c.configure();
  EXPECT_FALSE(c.pool.contains(kept.address));
  c.allocation = before;
  c.configure();
  EXPECT_EQ(c.pool.addresses(), 2U);
  EXPECT_TRUE(c.take());
}

// RFC 6888 REQ-8.
TEST(Pool4, ABlockThatWasFreedRestsTwoMinutesWhileThereAreOthers) {
  Case c{16, 1, {1024, 1087}};  // four blocks on each of two addresses
  const auto first = c.take()->public4;
  c.pool.release(c.subscriber, Protocol::kUdp, first, c.now);
  std::vector<Subscriber> others(8);
  for (std::size_t i = 0; i < 7; ++i) {
    const auto grant = c.take_for(others[i]);
    ASSERT_TRUE(grant);
    EXPECT_TRUE(grant->rested);
    EXPECT_FALSE(grant->public4.address == first.address && grant->public4.port / 16 == first.port / 16);
  }
  const auto last = c.take_for(others[7]);
  ASSERT_TRUE(last) << "rather than none";
  EXPECT_FALSE(last->rested);
  EXPECT_EQ(last->public4.port / 16, first.port / 16);
  c.pool.release(others[7], Protocol::kUdp, last->public4, c.now);
  c.now += std::chrono::seconds{119};
  EXPECT_FALSE(c.take_for(others[7])->rested);
}

TEST(Pool4, ABlockThatHasRestedIsLikeAnyOther) {
  Case c{16, 1, {1024, 1039}};
  c.allocation.addresses.resize(1);
  c.pool = {};
  c.configure();
  c.pool.release(c.subscriber, Protocol::kUdp, c.take()->public4, c.now);
  c.now += std::chrono::seconds{121};
  EXPECT_TRUE(c.take()->rested);
}

TEST(Pool4, WhenAllRestTheOneFreedLongestAgoComesFirst) {
  Case c{16, 1, {1024, 1087}};
  c.allocation.addresses.resize(1);
  c.pool = {};
  c.configure();
  std::vector<Subscriber> holders(4);
  std::vector<TransportAddress4> held;
  for (auto& holder : holders) held.push_back(c.take_for(holder)->public4);
  for (std::size_t i = 0; i < 4; ++i) {
    c.now += std::chrono::seconds{2};
    c.pool.release(holders[i], Protocol::kUdp, held[i], c.now);
  }
  for (std::size_t i = 0; i < 4; ++i) {
    const auto grant = c.take_for(holders[i]);
    ASSERT_TRUE(grant);
    EXPECT_FALSE(grant->rested);
    EXPECT_EQ(grant->public4.port / 16, held[i].port / 16);
  }
}

TEST(Pool4, ABlockThatWasOnlyLookedAtNeedNotRest) {
  Case c{16, 8, {1024, 1039}};
  c.allocation.addresses.resize(1);
  for (std::uint16_t port = 1024; port < 1040; ++port)
    c.policy.static_mappings.push_back(
        {Protocol::kTcp, {Ipv6Address{}, port}, {Ipv4Address{203, 0, 113, 1}, port}});
  c.pool = {};
  c.configure();
  EXPECT_FALSE(c.take(Protocol::kTcp));
  EXPECT_TRUE(c.take(Protocol::kUdp)->rested);
}

}  // namespace
}  // namespace isthmus::nat64
