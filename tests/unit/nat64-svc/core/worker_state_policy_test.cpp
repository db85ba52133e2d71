// SPDX-License-Identifier: Apache-2.0
// What a change of policy does to what runs; static mappings.
#include <gtest/gtest.h>

#include "nat64-svc/core/packet/parse.hpp"
#include "nat64-svc/core/translator.hpp"
#include "tests/support/nat64_harness.hpp"

namespace isthmus::nat64 {
namespace {

using namespace std::chrono_literals;
using test::Bytes;
using test::Nat64Harness;
using test::PacketBuilder;
using Action = Verdict::Action;

constexpr const char* kClient = "2001:db8:1::5";
constexpr const char* kServer6 = "64:ff9b::198.41.0.4";

Bytes question(const char* client = kClient, const char* server = kServer6, std::uint16_t port = 4000) {
  return PacketBuilder::ipv6(client, server).udp(port, 53).payload("x").bytes();
}

TEST(LiveChange, AnExclusionEndsExistingSessionsAtTheirNextPacket) {
  auto policy = test::nat64_policy();
  Nat64Harness nat{policy};
  const auto out = nat.from_v6(question());
  const auto p = parse_ipv4(out.packet).value();
  (void)nat.from_v6(question(kClient, "64:ff9b::198.41.0.5"));
  policy.exclusions.ipv4_destinations = {Ipv4Prefix::parse("198.41.0.4/32").value()};
  nat.apply(policy, test::nat64_allocation());
  const auto back =
      nat.from_v4(PacketBuilder::ipv4("198.41.0.4", p.source.to_string()).udp(53, p.source_port).bytes());
  EXPECT_EQ(back.verdict.reason, DropReason::kExcluded);
  EXPECT_EQ(nat.from_v6(question()).verdict.reason, DropReason::kExcluded);
  EXPECT_EQ(nat.from_v6(question(kClient, "64:ff9b::198.41.0.5")).verdict.action, Action::kForward);
  EXPECT_EQ(nat.sessions(), 1U);
}

TEST(LiveChange, AnExclusionEndsSilentSessionsToo) {
  auto policy = test::nat64_policy();
  Nat64Harness nat{policy};
  (void)nat.from_v6(question());
  policy.exclusions.ipv4_destinations = {Ipv4Prefix::parse("198.41.0.0/24").value()};
  nat.apply(policy, test::nat64_allocation());
  nat.advance(1s);
  EXPECT_EQ(nat.sessions(), 0U);
  EXPECT_EQ(nat.translator.counters().of(Event::kSessionEnded).get(), 1U);
}

TEST(LiveChange, AWithdrawnAddressDrainsUntilItsDeadline) {
  Nat64Harness nat;
  const auto p = parse_ipv4(nat.from_v6(question()).packet).value();
  auto allocation = test::nat64_allocation();
  for (auto& lease : allocation.addresses) {
    lease.withdrawn = lease.address == p.source;
    if (lease.withdrawn) lease.withdraw_within = 100s;
  }
  nat.apply(test::nat64_policy(), allocation);
  nat.advance(99s);
  EXPECT_EQ(nat.from_v6(question()).verdict.action, Action::kForward);
  // A new mapping of the same client goes elsewhere.
  const auto fresh = parse_ipv4(nat.from_v6(question(kClient, kServer6, 4001)).packet).value();
  EXPECT_NE(fresh.source, p.source);
  nat.advance(2s);
  EXPECT_EQ(nat.sessions(), 1U);
}

TEST(LiveChange, ADrainedAddressTakesNothingNewByTheMappingsItHad) {
  auto policy = test::nat64_policy();
  policy.static_mappings = {
      {Protocol::kUdp, {Ipv6Address::parse(kClient).value(), 8080}, {Ipv4Address{203, 0, 113, 1}, 80}}};
  auto allocation = test::nat64_allocation();
  for (auto& lease : allocation.addresses) {
    lease.withdrawn = true;
    lease.withdraw_within = 100s;
  }
  Nat64Harness nat{policy, allocation};
  const auto in = PacketBuilder::ipv4("198.41.0.4", "203.0.113.1").udp(5555, 80).bytes();
  const auto out = PacketBuilder::ipv6(kClient, kServer6).udp(8080, 7777).bytes();
  EXPECT_EQ(nat.from_v4(in).verdict.action, Action::kForward);
  nat.advance(101s);
  EXPECT_EQ(nat.sessions(), 0U);
  for (const auto& refused : {nat.from_v4(in), nat.from_v6(out)}) {
    EXPECT_EQ(refused.verdict.action, Action::kReply);
    EXPECT_EQ(kDropReasonNames[refused.verdict.reason], kDropReasonNames[DropReason::kDraining]);
  }
  EXPECT_EQ(nat.sessions(), 0U);
}

TEST(LiveChange, AnAddressThatIsGoneEndsItsSessions) {
  Nat64Harness nat;
  (void)nat.from_v6(question());
  nat.apply(test::nat64_policy(), Allocation{});
  nat.advance(1s);
  EXPECT_EQ(nat.sessions(), 0U);
  EXPECT_EQ(nat.translator.counters().blocks_used.get(), 0U);
}

// Its old blocks may not be found again under the new range, whatever was swept meanwhile.
TEST(LiveChange, AnAddressThatComesBackWithOtherPortsBeginsAnew) {
  auto policy = test::nat64_policy();
  policy.pools[0].ports = {1024, 2047};
  auto allocation = test::nat64_allocation();
  allocation.addresses.resize(1);
  const auto blocks = std::make_shared<BlockShare>();
  Nat64Harness workers[2];
  const auto apply = [&](const Policy& p, const Allocation& a) {
    for (std::uint16_t w = 0; w < 2; ++w)
      workers[w].apply(p, a, {.worker = w, .workers = 2, .blocks = blocks});
  };
  apply(policy, allocation);
  const std::size_t owner = workers[0].from_v6(question()).verdict.action == Action::kHandOver ? 1 : 0;
  auto& mine = workers[owner];
  ASSERT_EQ(mine.from_v6(question()).verdict.action, Action::kForward);
  apply(policy, Allocation{});
  policy.pools[0].ports = {3000, 3999};
  apply(policy, Allocation{});
  apply(policy, allocation);
  EXPECT_EQ(mine.sessions(), 0U);
  EXPECT_EQ(mine.translator.counters().blocks_used.get(), 0U);
  const auto p = parse_ipv4(mine.from_v6(question()).packet).value();
  EXPECT_GE(p.source_port, 3000);
  EXPECT_LE(p.source_port, 3999);
  const auto answer = PacketBuilder::ipv4("198.41.0.4", p.source.to_string()).udp(53, p.source_port).bytes();
  EXPECT_EQ(workers[1 - owner].from_v4(answer).verdict.owner, owner);
  EXPECT_EQ(mine.from_v4(answer).verdict.action, Action::kForward);
}

TEST(LiveChange, OtherPortsEndTheSessionsOfTheirPoolOnly) {
  auto policy = test::nat64_policy();
  policy.pools.push_back(policy.pools[0]);
  policy.pools[1].name = "other";
  auto allocation = test::nat64_allocation();
  allocation.addresses[1].pool = "other";
  Nat64Harness nat{policy, allocation};
  std::uint64_t stay = 0;
  for (int host = 1; host <= 40; ++host) {
    const std::string client = "2001:db8:1::" + std::to_string(host);
    if (parse_ipv4(nat.from_v6(question(client.c_str())).packet)->source == allocation.addresses[0].address)
      ++stay;
  }
  ASSERT_GT(stay, 0U);
  ASSERT_LT(stay, 40U);
  policy.pools[1].ports = {3000, 3999};
  nat.apply(policy, allocation);
  EXPECT_EQ(nat.sessions(), stay);
}

TEST(LiveChange, UnchangedPolicyKeepsSessionsThroughManyGenerations) {
  Nat64Harness nat;
  (void)nat.from_v6(question());
  for (int i = 0; i < 600; ++i) nat.apply(test::nat64_policy(), test::nat64_allocation());
  EXPECT_EQ(nat.sessions(), 1U);
}

TEST(LiveChange, NoChangeSweepsAllSessionsAtOnce) {
  auto policy = test::nat64_policy();
  policy.pools[0].subscribers.max_blocks = 16;
  policy.pools[0].subscribers.max_sessions = 4000;
  Nat64Harness nat{policy};
  constexpr std::uint16_t kSessions = 2000;
  for (std::uint16_t port = 1; port <= kSessions; ++port)
    ASSERT_EQ(nat.from_v6(question(kClient, kServer6, port)).verdict.action, Action::kForward);
  for (int change = 0; change < 254; ++change) {
    nat.apply(policy, test::nat64_allocation());
    for (int i = 0; i < 10; ++i) nat.translator.expire(nat.now);
  }
  policy.exclusions.ipv4_destinations = {Ipv4Prefix::parse("198.41.0.4/32").value()};
  nat.apply(policy, test::nat64_allocation());  // the 256th, with the first one
  EXPECT_EQ(nat.sessions(), kSessions);
  nat.advance(1s);
  EXPECT_EQ(nat.sessions(), 0U);
}

TEST(LiveChange, ChangesWithoutTimeBetweenThemEndWhatTheyForbid) {
  auto policy = test::nat64_policy();
  Nat64Harness nat{policy};
  (void)nat.from_v6(question());
  policy.exclusions.ipv4_destinations = {Ipv4Prefix::parse("198.41.0.4/32").value()};
  for (int i = 0; i < 256; ++i) nat.apply(policy, test::nat64_allocation());
  nat.advance(1s);
  EXPECT_EQ(nat.sessions(), 0U);
}

TEST(StaticMapping, LeadsInAndOut) {
  auto policy = test::nat64_policy();
  policy.static_mappings = {
      {Protocol::kTcp, {Ipv6Address::parse(kClient).value(), 8080}, {Ipv4Address{203, 0, 113, 1}, 80}}};
  Nat64Harness nat{policy};
  const auto in =
      nat.from_v4(PacketBuilder::ipv4("198.41.0.4", "203.0.113.1").tcp(5555, 80, tcp_flag::kSyn).bytes());
  ASSERT_EQ(in.verdict.action, Action::kForward) << kDropReasonNames[in.verdict.reason];
  EXPECT_EQ(in.packet,
            PacketBuilder::ipv6(kServer6, kClient).ttl(63).tcp(5555, 8080, tcp_flag::kSyn).bytes());
  const auto out = nat.from_v6(
      PacketBuilder::ipv6(kClient, kServer6).tcp(8080, 5555, tcp_flag::kSyn | tcp_flag::kAck).bytes());
  EXPECT_EQ(parse_ipv4(out.packet)->source_port, 80);
  nat.apply(test::nat64_policy(), test::nat64_allocation());  // taken out again
  EXPECT_EQ(nat.sessions(), 0U);
  EXPECT_EQ(nat.translator.counters().subscribers.get(), 0U);
}

std::vector<EventRecord> records_of(Nat64Harness& nat) {
  std::vector<EventRecord> all;
  nat.translator.drain_events([&](const EventRecord& r) { all.push_back(r); });
  return all;
}

TEST(StaticMapping, RecordsSayFromItsFirstSessionToItsLast) {
  auto policy = test::nat64_policy();
  policy.static_mappings = {
      {Protocol::kUdp, {Ipv6Address::parse(kClient).value(), 53}, {Ipv4Address{203, 0, 113, 1}, 53}}};
  Nat64Harness nat{policy};
  const auto ask = [&](const char* from) {
    return nat.from_v4(PacketBuilder::ipv4(from, "203.0.113.1").udp(5555, 53).bytes()).verdict.action;
  };
  ASSERT_EQ(ask("198.41.0.4"), Action::kForward);
  nat.advance(100s);
  ASSERT_EQ(ask("198.41.0.5"), Action::kForward);
  nat.advance(250s);  // the first one is over, the second is not
  auto records = records_of(nat);
  ASSERT_EQ(records.size(), 1U);
  EXPECT_EQ(records[0].kind, RecordKind::kStaticUsed);
  nat.advance(100s);
  records = records_of(nat);
  ASSERT_EQ(records.size(), 1U);
  EXPECT_EQ(records[0].kind, RecordKind::kStaticFreed);
  EXPECT_EQ(records[0].subscriber.to_string(), std::string(kClient) + "/128");
  EXPECT_EQ(records[0].first_port, 53);
  EXPECT_EQ(records[0].protocol, Protocol::kUdp);
}

TEST(StaticMapping, ThatIsTakenOutIsFreedInTheRecords) {
  auto policy = test::nat64_policy();
  policy.static_mappings = {
      {Protocol::kUdp, {Ipv6Address::parse(kClient).value(), 53}, {Ipv4Address{203, 0, 113, 1}, 53}}};
  Nat64Harness nat{policy};
  (void)nat.from_v4(PacketBuilder::ipv4("198.41.0.4", "203.0.113.1").udp(5555, 53).bytes());
  nat.apply(test::nat64_policy(), test::nat64_allocation());
  const auto records = records_of(nat);
  ASSERT_EQ(records.size(), 2U);
  EXPECT_EQ(records[1].kind, RecordKind::kStaticFreed);
}

TEST(StaticMapping, ThatIsTakenOutLeavesItsPortToTheSubscriberOfTheBlock) {
  auto policy = test::nat64_policy();
  policy.pools[0].ports = {1024, 1039};
  policy.pools[0].subscribers.ports_per_block = 16;
  policy.pools[0].subscribers.max_blocks = 1;
  auto allocation = test::nat64_allocation();
  allocation.addresses.resize(1);
  const auto plain = policy;
  policy.static_mappings = {{Protocol::kUdp,
                             {Ipv6Address::parse("2001:db8:1::53").value(), 53},
                             {Ipv4Address{203, 0, 113, 1}, 1030}}};
  Nat64Harness nat{policy, allocation};
  for (std::uint16_t port = 1; port <= 15; ++port)
    ASSERT_EQ(nat.from_v6(question(kClient, kServer6, port)).verdict.action, Action::kForward);
  EXPECT_EQ(nat.from_v6(question(kClient, kServer6, 16)).verdict.reason, DropReason::kBlockLimit);
  nat.apply(plain, allocation);
  const auto sent = nat.from_v6(question(kClient, kServer6, 16));
  ASSERT_EQ(sent.verdict.action, Action::kForward);
  EXPECT_EQ(parse_ipv4(sent.packet)->source_port, 1030);
  EXPECT_EQ(nat.from_v6(question(kClient, kServer6, 17)).verdict.reason, DropReason::kBlockLimit);
}

TEST(StaticMapping, ARefusedSessionIsNoUse) {
  auto policy = test::nat64_policy();
  policy.nat64.max_sessions = 0;
  policy.static_mappings = {
      {Protocol::kUdp, {Ipv6Address::parse(kClient).value(), 53}, {Ipv4Address{203, 0, 113, 1}, 53}}};
  Nat64Harness nat{policy};
  (void)nat.from_v4(PacketBuilder::ipv4("198.41.0.4", "203.0.113.1").udp(5555, 53).bytes());
  for (const auto& r : records_of(nat)) EXPECT_EQ(r.kind, RecordKind::kLimitReached);
}

TEST(LiveChange, RecordsOfBlocksThatAreSwitchedOnBeginWithThoseInUse) {
  auto policy = test::nat64_policy();
  policy.nat64.log_blocks = false;
  Nat64Harness nat{policy};
  const auto p = parse_ipv4(nat.from_v6(question()).packet).value();
  EXPECT_TRUE(records_of(nat).empty());
  for (const auto kind : {RecordKind::kBlockTaken, RecordKind::kBlockFreed}) {
    policy.nat64.log_blocks = kind == RecordKind::kBlockTaken;
    nat.apply(policy, test::nat64_allocation());
    const auto records = records_of(nat);
    ASSERT_EQ(records.size(), 1U);
    EXPECT_EQ(records[0].kind, kind);
    EXPECT_EQ(records[0].public4, p.source);
    EXPECT_LE(records[0].first_port, p.source_port);
    EXPECT_GE(records[0].last_port, p.source_port);
  }
}

}  // namespace
}  // namespace isthmus::nat64
