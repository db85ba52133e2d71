// SPDX-License-Identifier: Apache-2.0
// Who may use the translator, limits, records.
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

struct Row {
  const char* why;
  const char* client;
  const char* server;
  Action action;
  DropReason reason;
};

TEST(Admission, EachRuleRefusesByItsName) {
  auto policy = test::nat64_policy();
  policy.exclusions.ipv4_destinations = {Ipv4Prefix::parse("198.51.100.0/24").value()};
  policy.translation_prefixes[1].ipv4_ranges = {Ipv4Prefix::parse("10.0.0.0/8").value(),
                                                Ipv4Prefix::parse("198.51.100.0/24").value()};
  Nat64Harness nat{policy};
  const Row rows[] = {
      {"no client of the prefix", "2001:db8:9::1", kServer6, Action::kReply, DropReason::kClientNotAllowed},
      {"under no prefix", kClient, "2001:db8:ffff::1", Action::kDrop, DropReason::kNotInPrefix},
      {"a source inside a prefix", "64:ff9b::1.2.3.4", kServer6, Action::kDrop, DropReason::kSourceInPrefix},
      {"bits 64 to 71 set", kClient, "2001:db8:64:a00:100:100::", Action::kDrop, DropReason::kBadEmbedding},
      {"private address in the well-known prefix", kClient, "64:ff9b::10.0.0.1", Action::kReply,
       DropReason::kNonGlobal},
      {"outside the prefix's ranges", kClient, "2001:db8:64:c629:0:400::", Action::kReply,
       DropReason::kOutsideIpv4Ranges},
      {"excluded", kClient, "2001:db8:64:c633:64:100::", Action::kReply, DropReason::kExcluded},
      {"non-global where it may be", kClient, "2001:db8:64:a00:0:100::", Action::kForward,
       DropReason::kUnclassified},
  };
  for (const auto& row : rows) {
    const auto verdict = nat.from_v6(question(row.client, row.server)).verdict;
    EXPECT_EQ(verdict.action, row.action) << row.why;
    EXPECT_EQ(kDropReasonNames[verdict.reason], kDropReasonNames[row.reason]) << row.why;
  }
}

// RFC 1812 §5.3.7: no host has these, so nothing from them may reach a client, wherever non-global addresses
// are allowed.
TEST(Admission, MartianSourcesReachNobody) {
  Nat64Harness nat;
  const auto p = parse_ipv4(nat.from_v6(question(kClient, "2001:db8:64:a00:0:100::")).packet).value();
  const auto from = [&](const char* source) {
    return nat.from_v4(PacketBuilder::ipv4(source, p.source.to_string()).udp(53, p.source_port).bytes());
  };
  for (const auto* source : {"224.0.0.1", "127.0.0.1", "0.0.0.0", "255.255.255.255", "240.0.0.1"}) {
    const auto verdict = from(source).verdict;
    EXPECT_EQ(verdict.action, Action::kDrop) << source;
    EXPECT_EQ(kDropReasonNames[verdict.reason], kDropReasonNames[DropReason::kBadAddress]) << source;
  }
  EXPECT_EQ(from("10.0.0.2").verdict.action, Action::kForward);
}

// RFC 7915 §5.1: dropped in silence, whoever the policy calls a client.
TEST(Admission, NobodyIsAClientByAnAddressThatIsNoHosts) {
  auto policy = test::nat64_policy();
  policy.translation_prefixes[0].clients = {Ipv6Prefix{}};
  Nat64Harness nat{policy};
  for (const auto* source : {"ff02::1", "ff0e::1", "::1", "::", "::ffff:192.0.2.1", "fe80::1"}) {
    const auto verdict = nat.from_v6(question(source, kServer6)).verdict;
    EXPECT_EQ(verdict.action, Action::kDrop) << source;
    EXPECT_EQ(kDropReasonNames[verdict.reason], kDropReasonNames[DropReason::kBadAddress]) << source;
  }
  EXPECT_EQ(nat.from_v6(question("2001:db8:9::1", kServer6)).verdict.action, Action::kForward);
  EXPECT_EQ(nat.sessions(), 1U);
}

TEST(Admission, PacketsToAddressesThatAreNotOursAreLeftAlone) {
  Nat64Harness nat;
  const auto sent = nat.from_v4(PacketBuilder::ipv4("198.41.0.4", "203.0.113.9").ttl(1).udp(1, 2).bytes());
  EXPECT_EQ(sent.verdict.action, Action::kDrop);
  EXPECT_EQ(sent.verdict.reason, DropReason::kNotOurAddress);
}

TEST(Limits, BeforeAnyPolicyEverythingIsDropped) {
  Translator translator{{.max_sessions = 16}, HashKey{}, 1};
  Bytes frame(200);
  PacketBuffer buffer{frame, 64, 60};
  EXPECT_EQ(translator.from_v6(buffer, TimePoint{1h}).reason, DropReason::kNotReady);
}

TEST(Limits, WithoutALeaseTheClientIsToldSo) {
  Nat64Harness nat{test::nat64_policy(), Allocation{}};
  const auto sent = nat.from_v6(question());
  EXPECT_EQ(sent.verdict.action, Action::kReply);
  EXPECT_EQ(sent.verdict.reason, DropReason::kNoPoolAddress);
}

TEST(Limits, SessionsOfOneSubscriberAreBounded) {
  auto policy = test::nat64_policy();
  policy.pools[0].subscribers.max_sessions = 3;
  Nat64Harness nat{policy};
  for (std::uint16_t port = 1; port <= 3; ++port)
    EXPECT_EQ(nat.from_v6(question(kClient, kServer6, port)).verdict.action, Action::kForward);
  EXPECT_EQ(nat.from_v6(question(kClient, kServer6, 4)).verdict.reason, DropReason::kSubscriberSessions);
  EXPECT_EQ(nat.from_v6(question("2001:db8:1::6", kServer6, 4)).verdict.action, Action::kForward);
  EXPECT_EQ(nat.bib_entries(), 4U);  // none left behind by the refused one
}

TEST(Limits, NewSessionsOfOneSubscriberAreBoundedInTime) {
  auto policy = test::nat64_policy();
  policy.pools[0].subscribers.new_sessions_per_second = 4;
  Nat64Harness nat{policy};
  std::uint16_t port = 1;
  for (int i = 0; i < 4; ++i)  // a second's worth at once
    EXPECT_EQ(nat.from_v6(question(kClient, kServer6, port++)).verdict.action, Action::kForward);
  const auto refused = nat.from_v6(question(kClient, kServer6, port));
  EXPECT_EQ(refused.verdict.action, Action::kReply);
  EXPECT_EQ(refused.verdict.reason, DropReason::kSubscriberRate);
  EXPECT_EQ(nat.bib_entries(), 4U);  // none left behind by the refused one
  EXPECT_EQ(nat.from_v6(question(kClient, kServer6, 1)).verdict.action, Action::kForward);  // has a session
  EXPECT_EQ(nat.from_v6(question("2001:db8:1::6", kServer6, port)).verdict.action, Action::kForward);
  nat.advance(250ms);
  EXPECT_EQ(nat.from_v6(question(kClient, kServer6, port++)).verdict.action, Action::kForward);
  EXPECT_EQ(nat.from_v6(question(kClient, kServer6, port)).verdict.reason, DropReason::kSubscriberRate);
  nat.advance(10s);  // no more than a second's worth is saved up
  for (int i = 0; i < 4; ++i)
    EXPECT_EQ(nat.from_v6(question(kClient, kServer6, port++)).verdict.action, Action::kForward);
  EXPECT_EQ(nat.from_v6(question(kClient, kServer6, port)).verdict.reason, DropReason::kSubscriberRate);
}

TEST(Limits, AClientRefusedAtLineRateDoesNotFillTheQueueOfRecords) {
  auto policy = test::nat64_policy();
  policy.pools[0].subscribers.max_sessions = 1;
  Nat64Harness nat{policy};
  for (int i = 0; i < 1000; ++i)
    (void)nat.from_v6(question(kClient, kServer6, static_cast<std::uint16_t>(1 + i)));
  std::size_t records = 0;
  nat.translator.drain_events([&](const EventRecord&) { ++records; });
  EXPECT_LE(records, 100U);
  EXPECT_GE(records, 2U);  // the block, the limit
}

TEST(Limits, SessionsInAllAreBounded) {
  auto policy = test::nat64_policy();
  policy.nat64.max_sessions = 2;
  Nat64Harness nat{policy};
  for (std::uint16_t port = 1; port <= 2; ++port)
    EXPECT_EQ(nat.from_v6(question(kClient, kServer6, port)).verdict.action, Action::kForward);
  const auto refused = nat.from_v6(question(kClient, kServer6, 3));
  EXPECT_EQ(refused.verdict.action, Action::kReply);
  EXPECT_EQ(refused.verdict.reason, DropReason::kSessionLimit);
}

TEST(Limits, AreShownAsTheSmallerOfTablesAndPolicy) {
  auto policy = test::nat64_policy();
  policy.nat64.max_sessions = 1000;
  policy.nat64.max_held_fragments = 7;
  Nat64Harness nat{policy, test::nat64_allocation(), {.max_sessions = 64, .max_held_fragments = 8}};
  const auto& counters = nat.translator.counters();
  EXPECT_EQ(counters.sessions_max.get(), 64U);
  EXPECT_EQ(counters.bib_entries_max.get(), 64U);
  EXPECT_EQ(counters.held_syns_max.get(), 1024U);
  EXPECT_EQ(counters.held_fragments_max.get(), 14U);  // of both sides
  policy.nat64.max_sessions = 20;
  policy.nat64.max_held_fragments = 100;
  nat.apply(policy, test::nat64_allocation());
  EXPECT_EQ(counters.sessions_max.get(), 20U);
  EXPECT_EQ(counters.held_fragments_max.get(), 16U);
}

TEST(Limits, BlocksOfOneSubscriberAreBoundedAndOthersUnharmed) {
  auto policy = test::nat64_policy();
  policy.pools[0].subscribers.ports_per_block = 16;
  policy.pools[0].subscribers.max_blocks = 2;
  Nat64Harness nat{policy};
  for (std::uint16_t port = 1; port <= 32; ++port)
    EXPECT_EQ(nat.from_v6(question(kClient, kServer6, port)).verdict.action, Action::kForward);
  EXPECT_EQ(nat.from_v6(question(kClient, kServer6, 33)).verdict.reason, DropReason::kBlockLimit);
  EXPECT_EQ(nat.from_v6(question("2001:db8:1::6")).verdict.action, Action::kForward);
}

TEST(Limits, SubscribersInsideOneSlash64AreBoundedAndTheirPlaceComesFree) {
  auto policy = test::nat64_policy();
  policy.pools[0].subscribers.max_per_64 = 2;
  Nat64Harness nat{policy};
  EXPECT_EQ(nat.from_v6(question("2001:db8:1::1")).verdict.action, Action::kForward);
  EXPECT_EQ(nat.from_v6(question("2001:db8:1::2")).verdict.action, Action::kForward);
  EXPECT_EQ(nat.from_v6(question("2001:db8:1::3")).verdict.reason, DropReason::kSubscriberLimit);
  EXPECT_EQ(nat.from_v6(question("2001:db8:1::1", kServer6, 4001)).verdict.action, Action::kForward);
  EXPECT_EQ(nat.from_v6(question("2001:db8:1:2::3")).verdict.action, Action::kForward);
  nat.advance(302s);
  EXPECT_EQ(nat.from_v6(question("2001:db8:1::3")).verdict.action, Action::kForward);
}

TEST(Limits, EachThatIsReachedHasARecord) {
  const auto reasons = [](const Policy& policy, TranslatorLimits limits) {
    Nat64Harness nat{policy, test::nat64_allocation(), limits};
    for (std::uint16_t port = 1; port < 200; ++port) {
      (void)nat.from_v6(question("2001:db8:1::5", kServer6, port));
      (void)nat.from_v6(question("2001:db8:1:1::5", kServer6, port));
    }
    std::set<DropReason> seen;
    nat.translator.drain_events([&](const EventRecord& r) {
      if (r.kind == RecordKind::kLimitReached) seen.insert(r.limit);
    });
    return seen;
  };
  auto policy = test::nat64_policy();
  policy.pools[0].subscribers.prefix_length = 64;
  EXPECT_EQ(reasons(policy, {.max_sessions = 4096, .max_subscribers = 1}),
            std::set{DropReason::kSubscriberLimit});
  EXPECT_EQ(reasons(policy, {.max_sessions = 64, .max_subscribers = 8}), std::set{DropReason::kSessionLimit});
  policy.pools[0].subscribers.ports_per_block = 64;
  policy.pools[0].subscribers.max_blocks = 1;
  EXPECT_EQ(reasons(policy, {.max_sessions = 4096, .max_subscribers = 8}), std::set{DropReason::kBlockLimit});
}

TEST(Limits, ABlockTakenBeforeItHasRestedIsCounted) {
  auto policy = test::nat64_policy();
  policy.pools[0].ports = {1024, 1039};
  policy.pools[0].subscribers.ports_per_block = 16;
  auto allocation = test::nat64_allocation();
  allocation.addresses.resize(1);
  Nat64Harness nat{policy, allocation};
  const auto early = [&] { return nat.translator.counters().of(Event::kBlockTakenEarly).get(); };
  (void)nat.from_v6(question());
  nat.advance(302s);
  EXPECT_EQ(nat.from_v6(question("2001:db8:1::6")).verdict.action, Action::kForward);
  EXPECT_EQ(early(), 1U);
  nat.advance(302s);
  nat.advance(121s);
  (void)nat.from_v6(question());
  EXPECT_EQ(early(), 1U);
}

TEST(Records, TellWhoHadWhichPortsWhen) {
  Nat64Harness nat;
  (void)nat.from_v6(question());
  nat.advance(302s);
  std::vector<EventRecord> records;
  nat.translator.drain_events([&](const EventRecord& r) { records.push_back(r); });
  ASSERT_EQ(records.size(), 2U);
  EXPECT_EQ(records[0].kind, RecordKind::kBlockTaken);
  EXPECT_EQ(records[0].subscriber.to_string(), "2001:db8:1::5/128");
  EXPECT_EQ(records[0].last_port - records[0].first_port, 255);
  EXPECT_EQ(records[1].kind, RecordKind::kBlockFreed);
  EXPECT_EQ(records[1].public4, records[0].public4);
  EXPECT_EQ(records[1].at - records[0].at, 302s);
}

TEST(Workers, EachPacketHasExactlyOneOwnerInBothDirections) {
  std::vector<std::unique_ptr<Nat64Harness>> workers;
  const auto blocks = std::make_shared<BlockShare>();
  for (std::uint16_t w = 0; w < 4; ++w) {
    workers.push_back(std::make_unique<Nat64Harness>());
    workers.back()->apply(test::nat64_policy(), test::nat64_allocation(),
                          {.worker = w, .workers = 4, .blocks = blocks});
  }
  for (int host = 1; host < 40; ++host) {
    const std::string client = "2001:db8:1::" + std::to_string(host);
    const auto packet = question(client.c_str());
    const auto first = workers[0]->from_v6(packet);
    const std::size_t owner = first.verdict.action == Action::kHandOver ? first.verdict.owner : 0;
    const auto sent = owner == 0 ? first : workers[owner]->from_v6(packet);
    ASSERT_EQ(sent.verdict.action, Action::kForward);
    const auto p = parse_ipv4(sent.packet).value();
    const auto answer =
        PacketBuilder::ipv4("198.41.0.4", p.source.to_string()).udp(53, p.source_port).bytes();
    for (std::size_t w = 0; w < 4; ++w) {
      const auto back = workers[w]->from_v4(answer).verdict;
      if (w == owner)
        EXPECT_EQ(back.action, Action::kForward);
      else
        EXPECT_EQ(back.owner, owner);
    }
  }
}

TEST(MakeRuntime, NamesWhatItCannotRun) {
  auto policy = test::nat64_policy();
  auto allocation = test::nat64_allocation();
  allocation.addresses[1].pool = "nowhere";
  const auto bad = make_runtime(policy, allocation, {.mtu6 = 1279});
  ASSERT_FALSE(bad);
  ASSERT_EQ(bad.error().size(), 2U);
  EXPECT_EQ(bad.error()[0].path, "allocation.addresses[1].pool");
  EXPECT_EQ(bad.error()[1].path, "options.mtu6");
}

}  // namespace
}  // namespace isthmus::nat64
