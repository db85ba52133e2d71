// SPDX-License-Identifier: Apache-2.0
// The core alone, without I/O: established packets both ways, new sessions, memory per session, expiry
// stalls. Packets are visited in a shuffled order, so that tables and not the branch predictor are measured;
// the frame is small and warm, as it is in a worker that just received it.
#include <benchmark/benchmark.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <memory_resource>
#include <random>

#include "nat64-svc/core/packet/parse.hpp"
#include "nat64-svc/core/packet/write.hpp"
#include "nat64-svc/core/translator.hpp"

namespace {

using namespace isthmus;
using namespace isthmus::nat64;

constexpr std::size_t kLength6 = 60;  // 40 + 8 + 12
constexpr std::size_t kLength4 = 40;

// Counts what the large tables take.
class CountingMemory : public std::pmr::memory_resource {
 public:
  std::size_t bytes = 0;

 private:
  void* do_allocate(std::size_t n, std::size_t alignment) override {
    bytes += n;
    return std::pmr::new_delete_resource()->allocate(n, alignment);
  }
  void do_deallocate(void* p, std::size_t n, std::size_t alignment) override {
    std::pmr::new_delete_resource()->deallocate(p, n, alignment);
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
  for (std::uint32_t i = 0; i < sessions / 45000 + 2; ++i) {
    auto& lease = allocation.addresses.emplace_back();
    lease.address = Ipv4Address{(203U << 24) + i};
    lease.pool = "public";
  }
  return make_runtime(policy, allocation, {}).value();
}

// Flow `n`: 200 flows a client, each in a /64 of its own (max_per_64), a server of its own for each client's
// flow.
void write_flow6(std::uint8_t* p, std::uint32_t n) {
  const auto client = Ipv6Address::from_halves(0x20010db800000000ULL + n / 200, 1);
  const auto server = Ipv6Address::from_halves(0x0064ff9b00000000ULL, 0x08080000ULL + n % 50000);
  write_ipv6(p, {0, kLength6 - kIpv6Header, kProtoUdp, 64, client, server});
  store_be16(p + 40, static_cast<std::uint16_t>(1024 + n % 200));
  store_be16(p + 42, 443);
  store_be16(p + 44, kLength6 - kIpv6Header);
  store_be16(p + 46, 0x1234);
}

class Fixture {
 public:
  explicit Fixture(std::uint32_t sessions, std::pmr::memory_resource* memory = nullptr)
      : translator({.max_sessions = sessions, .max_subscribers = sessions / 100 + 16, .memory = memory},
                   HashKey{}, 1) {
    translator.set_runtime(runtime(sessions), now);
  }
  // The packet of flow `n` as IPv4, empty when it was refused.
  Verdict send(std::uint32_t n) {
    write_flow6(&frame[kTranslationHeadroom], n);
    buffer = PacketBuffer{frame, kTranslationHeadroom, kLength6};
    return translator.from_v6(buffer, now);
  }
  void fill(std::uint32_t flows) {
    for (std::uint32_t n = 0; n < flows; ++n) {
      if (send(n).action != Verdict::Action::kForward) std::abort();
    }
  }
  TimePoint now{std::chrono::hours{1}};
  Translator translator;
  alignas(64) std::array<std::uint8_t, 256> frame{};
  PacketBuffer buffer{frame, kTranslationHeadroom, 0};
};

std::vector<std::uint32_t> shuffled(std::uint32_t n) {
  std::vector<std::uint32_t> order(n);
  for (std::uint32_t i = 0; i < n; ++i) order[i] = i;
  std::ranges::shuffle(order, std::mt19937{1});
  return order;
}

void Established6To4(benchmark::State& state) {
  const auto flows = static_cast<std::uint32_t>(state.range(0));
  Fixture f{flows};
  f.fill(flows);
  const auto order = shuffled(flows);
  std::size_t at = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(f.send(order[at]));
    if (++at == order.size()) at = 0;
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(Established6To4)->Arg(1)->Arg(1000)->Arg(100000)->Arg(1000000);

void Established4To6(benchmark::State& state) {
  const auto flows = static_cast<std::uint32_t>(state.range(0));
  Fixture f{flows};
  struct Answer {
    std::array<std::uint8_t, kLength4> bytes;
  };
  std::vector<Answer> answers(flows);
  for (std::uint32_t n = 0; n < flows; ++n) {
    if (f.send(n).action != Verdict::Action::kForward) std::abort();
    auto& a = answers[n].bytes;
    std::ranges::copy(f.buffer.packet(), a.begin());
    std::swap_ranges(&a[12], &a[16], &a[16]);
    std::swap_ranges(&a[20], &a[22], &a[22]);
  }
  std::ranges::shuffle(answers, std::mt19937{1});  // read in order: a packet that arrives is warm
  std::size_t at = 0;
  for (auto _ : state) {
    std::ranges::copy(answers[at].bytes, f.frame.begin() + kTranslationHeadroom);
    f.buffer = PacketBuffer{f.frame, kTranslationHeadroom, kLength4};
    benchmark::DoNotOptimize(f.translator.from_v4(f.buffer, f.now));
    if (++at == answers.size()) at = 0;
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(Established4To6)->Arg(1)->Arg(1000)->Arg(100000)->Arg(1000000);

void NewSessions(benchmark::State& state) {
  constexpr std::uint32_t kSessions = 1U << 20;
  auto f = std::make_unique<Fixture>(kSessions);
  std::uint32_t n = 0;
  for (auto _ : state) {
    if (n == kSessions - 200) {
      state.PauseTiming();
      f = std::make_unique<Fixture>(kSessions);
      n = 0;
      state.ResumeTiming();
    }
    if (f->send(n++).action != Verdict::Action::kForward) std::abort();
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(NewSessions);

// Bytes per session with every one on a binding of its own, and the longest single call while all of them
// expire.
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
    while (f.translator.counters().sessions[1].get() != 0) {
      const double start = cpu_microseconds();
      f.translator.expire(f.now);
      longest = std::max(longest, cpu_microseconds() - start);
      f.now += std::chrono::milliseconds{1};
    }
    state.counters["longest_expire_us"] = longest;
  }
}
BENCHMARK(MemoryAndExpiry)->Arg(1 << 20)->Iterations(1)->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
