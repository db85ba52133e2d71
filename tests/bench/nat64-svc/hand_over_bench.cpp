// SPDX-License-Identifier: Apache-2.0
// What it costs to hand a packet to another worker: staged, shown and taken out of the ring, both halves
// counted. In bursts as the workers do it; on one thread, and between two (each then waits for the other's
// cache lines, and for a processor where there are few).
#include <benchmark/benchmark.h>

#include <array>
#include <atomic>
#include <thread>

#include "nat64-svc/shell/hand_over_ring.hpp"

namespace {

using namespace isthmus::nat64;

constexpr std::uint32_t kSlots = 512;
constexpr std::uint32_t kSlotSize = 2048;
constexpr std::size_t kBurst = 64;

void stage_burst(HandOverRing& ring, std::span<const std::uint8_t> packet) {
  for (std::size_t i = 0; i < kBurst; ++i) {
    if (!ring.stage(Side::kV6, {}, packet)) std::abort();
  }
  ring.publish();
}

std::size_t drain(HandOverRing& ring, std::array<std::uint8_t, kSlotSize>& frame) {
  return ring.drain(kBurst, [&](Side, const FragmentNote&, std::span<const std::uint8_t> p) {
    std::memcpy(frame.data(), p.data(), p.size());
    benchmark::DoNotOptimize(frame);
  });
}

void report(benchmark::State& state) {
  state.counters["per_packet"] =
      benchmark::Counter(static_cast<double>(state.iterations()) * kBurst,
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void HandOverOneThread(benchmark::State& state) {
  HandOverRing ring{kSlots, kSlotSize};
  const std::vector<std::uint8_t> packet(static_cast<std::size_t>(state.range(0)), 7);
  std::array<std::uint8_t, kSlotSize> frame{};
  for (auto _ : state) {
    stage_burst(ring, packet);
    if (drain(ring, frame) != kBurst) std::abort();
  }
  report(state);
}
BENCHMARK(HandOverOneThread)->Arg(60)->Arg(1500);

// A packet goes to the other thread and back, so the figure is that of two hand-overs.
void HandOverThereAndBack(benchmark::State& state) {
  HandOverRing there{kSlots, kSlotSize};
  HandOverRing back{kSlots, kSlotSize};
  const std::vector<std::uint8_t> packet(60, 7);
  std::atomic<bool> stop{false};
  std::thread other{[&] {
    std::array<std::uint8_t, kSlotSize> frame{};
    while (!stop.load(std::memory_order_relaxed)) {
      const auto n = drain(there, frame);
      for (std::size_t i = 0; i < n; ++i) {
        if (!back.stage(Side::kV4, {}, packet)) std::abort();
      }
      if (!back.publish()) std::this_thread::yield();
    }
  }};
  std::array<std::uint8_t, kSlotSize> frame{};
  for (auto _ : state) {
    stage_burst(there, packet);
    for (std::size_t n = 0; n < kBurst;) {
      const auto some = drain(back, frame);
      if (some == 0) std::this_thread::yield();
      n += some;
    }
  }
  stop = true;
  other.join();
  report(state);
}
BENCHMARK(HandOverThereAndBack)->UseRealTime();

}  // namespace

BENCHMARK_MAIN();
