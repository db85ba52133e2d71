// SPDX-License-Identifier: Apache-2.0
// Planning a whole pool at once: 100,000 addresses over 1,000 nodes, the first time and when nothing changes.
#include <benchmark/benchmark.h>

#include "controller/core/lease_planner.hpp"

namespace isthmus::controller {
namespace {

constexpr TimePoint kNow{std::chrono::seconds{1000}};

Policy policy_of(std::size_t addresses) {
  Policy policy;
  policy.pools.resize(1);
  policy.pools[0].name = "public";
  for (std::size_t i = 0; i < addresses; i += 16)
    policy.pools[0].addresses.emplace_back(Ipv4Address{0x64400000 + static_cast<std::uint32_t>(i)}, 28);
  return policy;
}

std::vector<LeaseCandidate> nodes_of(std::size_t count) {
  std::vector<LeaseCandidate> nodes;
  for (std::size_t i = 0; i < count; ++i) {
    const auto name = "gateway-" + std::to_string(10000 + i);
    nodes.push_back({.holder = {name, "machine-of-" + name}, .use = 0});
  }
  return nodes;
}

void PlanAnEmptyPool(benchmark::State& state) {
  const auto policy = policy_of(static_cast<std::size_t>(state.range(0)));
  const auto nodes = nodes_of(static_cast<std::size_t>(state.range(1)));
  LeaseTable table;
  table.set_pools(policy.pools, kNow);
  for (auto _ : state) benchmark::DoNotOptimize(plan_leases(table, policy, nodes));
}
BENCHMARK(PlanAnEmptyPool)->Args({100'000, 1000})->Unit(benchmark::kMillisecond);

void PlanAPoolInUse(benchmark::State& state) {
  const auto policy = policy_of(static_cast<std::size_t>(state.range(0)));
  auto nodes = nodes_of(static_cast<std::size_t>(state.range(1)));
  LeaseTable table;
  table.set_pools(policy.pools, kNow);
  for (const auto& [address, holder] : plan_leases(table, policy, nodes).grants)
    benchmark::DoNotOptimize(table.grant(address, holder, kNow));
  for (auto& node : nodes) node.use = 0.8;  // each wants more
  for (auto _ : state) benchmark::DoNotOptimize(plan_leases(table, policy, nodes));
}
BENCHMARK(PlanAPoolInUse)->Args({100'000, 1000})->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace isthmus::controller

BENCHMARK_MAIN();
