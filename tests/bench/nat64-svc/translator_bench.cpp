// SPDX-License-Identifier: Apache-2.0
// The core alone, without I/O: established packets both ways in bursts as the worker hands them over, new
// sessions, memory per session, expiry stalls. Flows are visited in a shuffled order, so that tables and not
// the branch predictor are measured; frames are warm, as they are in a worker that just received them. Each
// packet is written inside the measured loop: WritePackets says what that costs.
#include <benchmark/benchmark.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <memory_resource>
#include <random>
#include <vector>

#include "nat64-svc/core/packet/parse.hpp"
#include "nat64-svc/core/packet/write.hpp"
#include "nat64-svc/core/translator.hpp"
#include "nat64-svc/shell/huge_pages.hpp"

namespace {

using namespace isthmus;
using namespace isthmus::nat64;

constexpr std::size_t kLength6 = 60;  // 40 + 8 + 12
constexpr std::size_t kLength4 = 40;
constexpr std::size_t kBurst = 64;
constexpr std::uint32_t kFlowsPerClient = 256;  // a whole block

// Counts what the large tables take.
class CountingMemory : public std::pmr::memory_resource {
 public:
  std::size_t bytes = 0;

 private:
  void* do_allocate(std::size_t n, std::size_t alignment) override {
    bytes += n;
    return HugePages::get()->allocate(n, alignment);
  }
  void do_deallocate(void* p, std::size_t n, std::size_t alignment) override {
    HugePages::get()->deallocate(p, n, alignment);
  }
  [[nodiscard]] bool do_is_equal(const memory_resource& other) const noexcept override {
    return this == &other;
  }
};

std::shared_ptr<const Runtime> runtime(std::uint32_t sessions) {
  Policy policy;
  auto& prefix = policy.translation_prefixes.emplace_back();
  prefix.prefix = Ipv6Prefix::parse("64:ff9b::/96").value();
  prefix.clients = {Ipv6Prefix::parse("2001:db8::/32").value()};
  prefix.ipv4_ranges = {Ipv4Prefix{}};
  auto& pool = policy.pools.emplace_back();
  pool.name = "public";
  pool.subscribers.ports_per_block = 256;
  pool.subscribers.max_sessions = 1U << 30;
  policy.nat64.max_sessions = sessions;
  policy.nat64.log_blocks = false;
  Allocation allocation;
  for (std::uint32_t i = 0; i < sessions / 60000 + 2; ++i) {
    auto& lease = allocation.addresses.emplace_back();
    lease.address = Ipv4Address{(203U << 24) + i};
    lease.pool = "public";
  }
  return make_runtime(policy, allocation, {}).value();
}

// Each client in a /64 of its own (max_per_64); a server of its own for each of a client's flows.
void write_flow6(std::uint8_t* p, std::uint32_t n) {
  const auto client = Ipv6Address::from_halves(0x20010db800000000ULL + n / kFlowsPerClient, 1);
  const auto server = Ipv6Address::from_halves(0x0064ff9b00000000ULL, 0x08080000ULL + n % 65536);
  write_ipv6(p, {0, kLength6 - kIpv6Header, kProtoUdp, 64, client, server});
  store_be16(p + 40, static_cast<std::uint16_t>(1024 + n % kFlowsPerClient));
  store_be16(p + 42, 443);
  store_be16(p + 44, kLength6 - kIpv6Header);
  store_be16(p + 46, 0x1234);
}

// What the server of a flow sends back to.
struct Public {
  std::uint32_t address;
  std::uint16_t port;
};

void write_answer4(std::uint8_t* p, std::uint32_t n, Public to) {
  write_ipv4(p, {.total_length = kLength4,
                 .ttl = 64,
                 .protocol = kProtoUdp,
                 .source = Ipv4Address{0x08080000U + n % 65536},
                 .destination = Ipv4Address{to.address}});
  store_be16(p + 20, 443);
  store_be16(p + 22, to.port);
  store_be16(p + 24, kLength4 - kIpv4Header);
  store_be16(p + 26, 0x1234);
}

class Fixture {
 public:
  explicit Fixture(std::uint32_t sessions, std::pmr::memory_resource* memory = HugePages::get())
      : translator({.max_sessions = sessions, .max_subscribers = sessions / 200 + 16, .memory = memory},
                   HashKey{}, 1) {
    translator.set_runtime(runtime(sessions), now);
  }
  Verdict send(std::uint32_t n) {
    write_flow6(&frames[0][kTranslationHeadroom], n);
    auto& packet = burst[0].packet;
    packet = PacketBuffer{frames[0], kTranslationHeadroom, kLength6};
    return translator.from_v6(packet, now);
  }
  void fill(std::uint32_t flows) {
    for (std::uint32_t n = 0; n < flows; ++n) {
      if (send(n).action != Verdict::Action::kForward) std::abort();
    }
  }
  void put6(std::size_t slot, std::uint32_t n) {
    write_flow6(&frames[slot][kTranslationHeadroom], n);
    burst[slot] = {Side::kV6, PacketBuffer{frames[slot], kTranslationHeadroom, kLength6}, {}};
  }
  void put4(std::size_t slot, std::uint32_t n, Public to) {
    write_answer4(&frames[slot][kTranslationHeadroom], n, to);
    burst[slot] = {Side::kV4, PacketBuffer{frames[slot], kTranslationHeadroom, kLength4}, {}};
  }
  TimePoint now{std::chrono::hours{1}};
  Translator translator;
  std::array<BurstPacket, kBurst> burst;
  alignas(64) std::array<std::array<std::uint8_t, 256>, kBurst> frames{};
};

std::vector<std::uint32_t> shuffled(std::uint32_t n) {
  std::vector<std::uint32_t> order(n);
  for (std::uint32_t i = 0; i < n; ++i) order[i] = i;
  std::ranges::shuffle(order, std::mt19937{1});
  return order;
}

// Goes round and round through a shuffled list of flows, a burst at a time.
template <class Put, class Finish>
void visit_in_bursts(benchmark::State& state, std::uint32_t flows, Put&& put, Finish&& finish) {
  const auto order = shuffled(flows);
  std::size_t at = 0;
  for (auto _ : state) {
    for (std::size_t slot = 0; slot < kBurst; ++slot) {
      put(slot, order[at]);
      if (++at == order.size()) at = 0;
    }
    finish();
  }
  const auto packets = static_cast<double>(state.iterations()) * kBurst;
  state.counters["per_packet"] =
      benchmark::Counter(packets, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void check_all_forwarded(const Fixture& f) {
  for (const auto& p : f.burst) {
    if (p.verdict.action != Verdict::Action::kForward) std::abort();
  }
}

void WritePackets6(benchmark::State& state) {
  Fixture f{1000};
  visit_in_bursts(
      state, 1000, [&](std::size_t slot, std::uint32_t n) { f.put6(slot, n); },
      [&] { benchmark::ClobberMemory(); });
}
BENCHMARK(WritePackets6);

void WritePackets4(benchmark::State& state) {
  Fixture f{1000};
  visit_in_bursts(
      state, 1000, [&](std::size_t slot, std::uint32_t n) { f.put4(slot, n, {n, 1}); },
      [&] { benchmark::ClobberMemory(); });
}
BENCHMARK(WritePackets4);

void Established6To4(benchmark::State& state) {
  const auto flows = static_cast<std::uint32_t>(state.range(0));
  Fixture f{flows};
  f.fill(flows);
  visit_in_bursts(
      state, flows, [&](std::size_t slot, std::uint32_t n) { f.put6(slot, n); },
      [&] { f.translator.translate(f.burst, f.now); });
  check_all_forwarded(f);
}
BENCHMARK(Established6To4)->Arg(1)->Arg(1000)->Arg(100000)->Arg(1000000)->Arg(10000000);

void Established4To6(benchmark::State& state) {
  const auto flows = static_cast<std::uint32_t>(state.range(0));
  Fixture f{flows};
  std::vector<Public> publics(flows);
  for (std::uint32_t n = 0; n < flows; ++n) {
    if (f.send(n).action != Verdict::Action::kForward) std::abort();
    const auto bytes = f.burst[0].packet.packet();
    publics[n] = {load_be32(&bytes[12]), load_be16(&bytes[20])};
  }
  // In the order of the visits, so that the list itself costs little.
  std::vector<Public> in_order;
  in_order.reserve(flows);
  for (const auto n : shuffled(flows)) in_order.push_back(publics[n]);
  std::size_t at = 0;
  visit_in_bursts(
      state, flows,
      [&](std::size_t slot, std::uint32_t n) {
        f.put4(slot, n, in_order[at]);
        if (++at == in_order.size()) at = 0;
      },
      [&] { f.translator.translate(f.burst, f.now); });
  check_all_forwarded(f);
}
BENCHMARK(Established4To6)->Arg(1)->Arg(1000)->Arg(100000)->Arg(1000000)->Arg(10000000);

void NewSessions(benchmark::State& state) {
  constexpr std::uint32_t kSessions = 1U << 20;
  auto f = std::make_unique<Fixture>(kSessions);
  std::uint32_t n = 0;
  for (auto _ : state) {
    if (n + kBurst > kSessions) {
      state.PauseTiming();
      f = std::make_unique<Fixture>(kSessions);
      n = 0;
      state.ResumeTiming();
    }
    for (std::size_t slot = 0; slot < kBurst; ++slot) f->put6(slot, n++);
    f->translator.translate(f->burst, f->now);
  }
  state.SetItemsProcessed(state.iterations() * std::int64_t{kBurst});
  check_all_forwarded(*f);
}
BENCHMARK(NewSessions);

double cpu_microseconds() {  // of this thread: a busy machine does not count
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) * 1e6 + static_cast<double>(t.tv_nsec) / 1e3;
}

// Bytes per session with every one on a binding of its own, and the longest single call while all of them
// expire.
void MemoryAndExpiry(benchmark::State& state) {
  const auto sessions = static_cast<std::uint32_t>(state.range(0));
  for (auto _ : state) {
    CountingMemory memory;
    Fixture f{sessions, &memory};
    f.fill(sessions);
    state.counters["table_bytes_per_session"] = static_cast<double>(memory.bytes) / sessions;
    f.now += std::chrono::seconds{301};
    double longest = 0;
    double sum = 0;
    while (f.translator.counters().sessions[1].get() != 0) {
      const double start = cpu_microseconds();
      f.translator.expire(f.now);
      const double took = cpu_microseconds() - start;
      longest = std::max(longest, took);
      sum += took;
      f.now += std::chrono::milliseconds{1};
    }
    state.counters["longest_expire_us"] = longest;
    state.counters["expire_ns_per_session"] = sum * 1e3 / sessions;
  }
}
BENCHMARK(MemoryAndExpiry)->Arg(1 << 20)->Arg(1 << 22)->Iterations(1)->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
