// SPDX-License-Identifier: Apache-2.0
// Several workers and one pool of ports: no port is owned twice, none is lost, none lies idle while a worker
// needs it, and every answer finds the worker of its question.
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <thread>

#include "nat64-svc/core/owners.hpp"
#include "nat64-svc/core/packet/parse.hpp"
#include "tests/support/fragments.hpp"
#include "tests/support/nat64_harness.hpp"

namespace isthmus::nat64 {
namespace {

using test::PacketBuilder;
using Action = Verdict::Action;

// One address with 16 blocks of 16 ports, one block a subscriber.
Policy small_pool() {
  auto policy = test::nat64_policy();
  policy.pools[0].ports = {1024, 1279};
  policy.pools[0].subscribers.prefix_length = 128;
  policy.pools[0].subscribers.max_per_64 = 1000;
  policy.pools[0].subscribers.ports_per_block = 16;
  policy.pools[0].subscribers.max_blocks = 1;
  return policy;
}
Allocation one_address() {
  auto allocation = test::nat64_allocation();
  allocation.addresses.resize(1);
  return allocation;
}
constexpr unsigned kBlocks = 16;

class Node {
 public:
  explicit Node(std::uint16_t count, const Policy& policy = small_pool()) {
    const auto blocks = std::make_shared<BlockShare>();
    for (std::uint16_t w = 0; w < count; ++w) {
      workers.push_back(std::make_unique<test::Nat64Harness>(policy, one_address()));
      options.push_back({.worker = w, .workers = count, .blocks = blocks});
      workers.back()->apply(policy, one_address(), options.back());
    }
  }
  // Hands the packet on until a worker keeps it.
  test::Sent send(Side from, const test::Bytes& packet, std::size_t first) {
    for (std::size_t at = first, hops = 0; hops < 3; ++hops) {
      auto sent = from == Side::kV6 ? workers[at]->from_v6(packet) : workers[at]->from_v4(packet);
      last = at;
      if (sent.verdict.action != Action::kHandOver) return sent;
      at = sent.verdict.owner;
    }
    return {};
  }
  [[nodiscard]] std::uint64_t blocks_used() const {
    std::uint64_t sum = 0;
    for (const auto& w : workers) sum += w->translator.counters().blocks_used.get();
    return sum;
  }
  std::vector<std::unique_ptr<test::Nat64Harness>> workers;
  std::vector<RuntimeOptions> options;
  std::size_t last = 0;  // the worker that kept the packet
};

test::Bytes question(unsigned client) {
  return PacketBuilder::ipv6("2001:db8:1::" + std::to_string(client), "64:ff9b::198.41.0.4")
      .udp(4000, 53)
      .bytes();
}

TEST(SharedPorts, AWorkerGetsEveryBlockWhenNobodyElseNeedsOne) {
  Node node{4};
  // Clients of one worker only.
  unsigned served = 0;
  for (unsigned client = 1; client < 1000 && served < kBlocks; ++client) {
    if (node.workers[2]->from_v6(question(client)).verdict.action == Action::kForward) ++served;
  }
  EXPECT_EQ(served, kBlocks);
  EXPECT_EQ(node.workers[2]->translator.counters().blocks_used.get(), kBlocks);
  // What it gives back another one can have.
  node.workers[2]->advance(std::chrono::seconds{400});
  EXPECT_EQ(node.blocks_used(), 0U);
  served = 0;
  for (unsigned client = 1; client < 1000 && served < kBlocks; ++client) {
    if (node.workers[0]->from_v6(question(client)).verdict.action == Action::kForward) ++served;
  }
  EXPECT_EQ(served, kBlocks);
}

TEST(SharedPorts, NoPortIsOwnedTwiceAndEveryAnswerFindsItsWorker) {
  std::mt19937 random{7};
  const auto any = [&](unsigned low, unsigned high) {
    return std::uniform_int_distribution<unsigned>{low, high}(random);
  };
  Node node{3};
  for (int round = 0; round < 60; ++round) {
    std::map<std::uint16_t, unsigned> client_of;  // by public port
    std::set<unsigned> refused;
    for (unsigned n = any(1, 24); n > 0; --n) {
      const unsigned client = any(1, 60);
      const auto out = node.send(Side::kV6, question(client), any(0, 2));
      if (out.verdict.action != Action::kForward) {
        EXPECT_EQ(out.verdict.reason, DropReason::kPoolExhausted);
        EXPECT_EQ(node.blocks_used(), kBlocks);  // refused only when there is really none
        continue;
      }
      const auto seen = parse_ipv4(out.packet).value();
      const auto [entry, fresh] = client_of.emplace(seen.source_port, client);
      EXPECT_EQ(entry->second, client) << "a port with two owners";
      const auto owner = node.last;
      const auto answer =
          PacketBuilder::ipv4("198.41.0.4", seen.source.to_string()).udp(53, seen.source_port).bytes();
      const auto back = node.send(Side::kV4, answer, any(0, 2));
      ASSERT_EQ(back.verdict.action, Action::kForward);
      EXPECT_EQ(node.last, owner);
      EXPECT_EQ(parse_ipv6(back.packet)->destination.to_string(), "2001:db8:1::" + std::to_string(client));
    }
    EXPECT_LE(node.blocks_used(), kBlocks);
    const bool forget = any(0, 2) != 0;
    for (auto& w : node.workers) w->advance(std::chrono::seconds{forget ? 400 : 1});
    if (forget) {
      EXPECT_EQ(node.blocks_used(), 0U);
    }
  }
}

TEST(SharedPorts, APolicyThatIsBuiltAndNeverRunsChangesNothing) {
  Node node{2};
  const auto out = node.send(Side::kV6, question(1), 0);
  ASSERT_EQ(out.verdict.action, Action::kForward);
  const auto seen = parse_ipv4(out.packet).value();
  auto other = small_pool();
  other.pools[0].subscribers.ports_per_block = 32;
  for (const auto& options : node.options) ASSERT_TRUE(make_runtime(other, one_address(), options));
  for (std::size_t w = 0; w < node.workers.size(); ++w)
    node.workers[w]->apply(small_pool(), one_address(), node.options[w]);
  const auto answer =
      PacketBuilder::ipv4("198.41.0.4", seen.source.to_string()).udp(53, seen.source_port).bytes();
  for (const std::size_t first : {0U, 1U}) {
    EXPECT_EQ(node.send(Side::kV4, answer, first).verdict.action, Action::kForward) << "by worker " << first;
  }
}

TEST(SharedPorts, AnotherRangeOfPortsIsInEffectAtOnce) {
  Node node{1};
  ASSERT_EQ(node.send(Side::kV6, question(1), 0).verdict.action, Action::kForward);
  auto narrow = small_pool();
  narrow.pools[0].ports = {2048, 2079};  // two blocks
  node.workers[0]->apply(narrow, one_address(), node.options[0]);
  for (const unsigned client : {1U, 2U}) {
    const auto out = node.send(Side::kV6, question(client), 0);
    ASSERT_EQ(out.verdict.action, Action::kForward);
    const auto port = parse_ipv4(out.packet)->source_port;
    EXPECT_TRUE(port >= 2048 && port <= 2079) << port;
  }
  EXPECT_EQ(node.send(Side::kV6, question(3), 0).verdict.reason, DropReason::kPoolExhausted);
}

TEST(SharedPorts, StaticMappingsBelongToTheirClientsWorkerWhereverThePortLies) {
  auto policy = small_pool();
  for (std::uint16_t i = 0; i < 8; ++i) {
    policy.static_mappings.push_back(
        {Protocol::kUdp,
         {Ipv6Address::parse("2001:db8:1::" + std::to_string(i + 1)).value(), 53},
         {Ipv4Address{203, 0, 113, 1}, static_cast<std::uint16_t>(1030 + i)}});
  }
  Node node{4, policy};
  for (std::uint16_t i = 0; i < 8; ++i) {
    const auto in = node.send(Side::kV4,
                              PacketBuilder::ipv4("198.41.0.4", "203.0.113.1")
                                  .udp(999, static_cast<std::uint16_t>(1030 + i))
                                  .bytes(),
                              i % 4U);
    ASSERT_EQ(in.verdict.action, Action::kForward) << kDropReasonNames[in.verdict.reason];
    const auto client = Ipv6Address::parse("2001:db8:1::" + std::to_string(i + 1)).value();
    EXPECT_EQ(parse_ipv6(in.packet)->destination, client);
    const auto runtime = make_runtime(policy, one_address(), node.options[0]).value();
    EXPECT_EQ(node.last, client_owner(*runtime, client));
  }
}

// Any worker may have the block in which the port of a new static mapping lies.
TEST(SharedPorts, AStaticMappingEndsWhatAnotherWorkerHasThere) {
  for (unsigned client = 1; client <= 8; ++client) {
    Node node{2};
    const auto policy = small_pool();
    const auto out = node.send(Side::kV6, question(client), 0);
    ASSERT_EQ(out.verdict.action, Action::kForward);
    const auto before = parse_ipv4(out.packet).value();
    const std::size_t dynamic = node.last;
    auto mapped = policy;
    mapped.static_mappings = {{Protocol::kUdp,
                               {Ipv6Address::parse("2001:db8:1::99").value(), 53},
                               {before.source, before.source_port}}};
    for (std::size_t w = 0; w < 2; ++w) node.workers[w]->apply(mapped, one_address(), node.options[w]);
    EXPECT_EQ(node.workers[dynamic]->sessions(), 0U) << "of client " << client;
    const auto again = node.send(Side::kV6, question(client), 0);
    ASSERT_EQ(again.verdict.action, Action::kForward);
    EXPECT_NE(parse_ipv4(again.packet)->source_port, before.source_port) << "two clients have one port";
    const auto in = node.send(
        Side::kV4,
        PacketBuilder::ipv4("198.41.0.4", before.source.to_string()).udp(53, before.source_port).bytes(),
        client % 2);
    ASSERT_EQ(in.verdict.action, Action::kForward) << kDropReasonNames[in.verdict.reason];
    EXPECT_EQ(parse_ipv6(in.packet)->destination.to_string(), "2001:db8:1::99");
  }
}

// Packets between workers, until none is on its way. What left, in order.
std::vector<test::Bytes> pump(Node& node, std::size_t first, const test::Bytes& packet) {
  std::vector<test::Bytes> out;
  std::vector<test::HandedOver> queue{{static_cast<std::uint16_t>(first), Side::kV4, {}, packet}};
  for (std::size_t i = 0; i < queue.size() && i < 64; ++i) {
    const auto job = queue[i];
    auto sent = node.workers[job.owner]->from_worker(job.from, job.packet, job.note);
    if (sent.verdict.sends()) out.push_back(sent.packet);
    if (sent.verdict.action == Action::kHandOver)
      queue.push_back({sent.verdict.owner, sent.verdict.out, sent.verdict.note, job.packet});
    out.insert(out.end(), sent.extra.begin(), sent.extra.end());
    queue.insert(queue.end(), sent.handed_over.begin(), sent.handed_over.end());
  }
  EXPECT_LT(queue.size(), 64U) << "packets go round in circles";
  return out;
}

TEST(SharedPorts, FragmentsOfOnePacketMeetWhereverTheyArrive) {
  std::mt19937 random{11};
  const auto any = [&](unsigned low, unsigned high) {
    return std::uniform_int_distribution<unsigned>{low, high}(random);
  };
  Node node{4};
  for (std::uint32_t round = 0; round < 200; ++round) {
    const unsigned client = any(1, 12);
    const bool echo = any(0, 1) != 0;
    const std::string client6 = "2001:db8:1::" + std::to_string(client);
    const auto out = node.send(Side::kV6,
                               echo ? PacketBuilder::ipv6(client6, "64:ff9b::198.41.0.4").echo(128, 9).bytes()
                                    : PacketBuilder::ipv6(client6, "64:ff9b::198.41.0.4").udp(9, 53).bytes(),
                               any(0, 3));
    ASSERT_EQ(out.verdict.action, Action::kForward) << kDropReasonNames[out.verdict.reason];
    const auto seen = parse_ipv4(out.packet).value();
    auto answer = PacketBuilder::ipv4("198.41.0.4", seen.source.to_string()).payload(2000);
    answer = echo ? answer.echo(0, seen.source_port) : answer.udp(53, seen.source_port);
    if (!echo && any(0, 1) != 0) answer.udp_without_checksum();
    auto pieces = test::cut_into_fragments(answer.bytes(), 504, 1000 + round);
    std::ranges::shuffle(pieces, random);
    std::vector<test::Bytes> in;
    for (const auto& p : pieces) {
      const auto some = pump(node, any(0, 3), p);
      in.insert(in.end(), some.begin(), some.end());
    }
    const auto whole = test::put_together(in);
    ASSERT_FALSE(whole.empty()) << "round " << round << ": fragments are missing";
    EXPECT_EQ(test::checksum_fault(whole), "");
    EXPECT_EQ(Ipv6Address::load(&whole[24]).to_string(), client6);
    for (auto& w : node.workers) w->advance(std::chrono::milliseconds{100});
  }
}

// For ThreadSanitizer: two workers on threads of their own take and free blocks of one small pool.
TEST(SharedPorts, ThreadsClaimAndGiveBackWithoutLosingABlock) {
  auto owners = std::make_shared<BlockOwners>(16, PortRange{1024, 1279});
  std::array<std::atomic<int>, 65536 / 16> held{};
  std::atomic<bool> twice{false};
  const auto work = [&](std::uint16_t worker) {
    std::vector<std::uint32_t> mine;
    std::mt19937 random{worker};
    const auto claim = [&](std::uint32_t start, TimePoint now) {
      const auto rested = owners->claim(worker, start, now);
      return rested ? rested : owners->claim_oldest(worker);
    };
    for (int i = 0; i < 20000; ++i) {
      const TimePoint now{std::chrono::milliseconds{100} * i};
      if (const auto block = claim(static_cast<std::uint32_t>(random()), now); block && mine.size() < 12) {
        if (held[*block].fetch_add(1) != 0) twice = true;
        if (owners->owner(static_cast<std::uint16_t>(*block * 16)) != worker) twice = true;
        mine.push_back(*block);
      } else if (block) {
        owners->give_back_unused(*block);
      }
      if (!mine.empty() && random() % 2 == 0) {
        held[mine.back()].fetch_sub(1);
        owners->give_back(mine.back(), now);
        mine.pop_back();
      }
    }
    for (const auto block : mine) {
      held[block].fetch_sub(1);
      owners->give_back(block, TimePoint{std::chrono::hours{1}});
    }
  };
  std::thread other{work, std::uint16_t{1}};
  work(0);
  other.join();
  EXPECT_FALSE(twice);
  EXPECT_EQ(owners->free_blocks(), kBlocks);
  for (std::uint32_t port = 0; port < 65536; port += 16)
    EXPECT_EQ(owners->owner(static_cast<std::uint16_t>(port)), BlockOwners::kNobody);
}

}  // namespace
}  // namespace isthmus::nat64
