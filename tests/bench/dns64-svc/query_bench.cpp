// SPDX-License-Identifier: Apache-2.0
// One answer from the cache, without sockets: parse, look up, decide, write. And what a cached name costs.
#include <benchmark/benchmark.h>

#include <array>
#include <cstdio>
#include <string>
#include <vector>

#include "dns64-svc/core/query.hpp"
#include "dns64-svc/core/wire/message_writer.hpp"

namespace isthmus::dns64 {
namespace {

constexpr TimePoint kNow{std::chrono::seconds{1000}};
constexpr std::uint8_t kSoa[] = {2, 'n', 's', 0, 0, 0, 0, 0, 1, 0, 0, 1, 0,
                                 0, 0,   1,   0, 0, 0, 1, 0, 0, 0, 1, 0};

std::string numbered(const char* format, int i) {
  std::array<char, 64> text;
  const int size = std::snprintf(text.data(), text.size(), format, i);
  return {text.data(), static_cast<std::size_t>(size)};
}
std::string host(int i) {
  return numbered("host-%d.zone.example.", i);
}

FactPtr make_fact(const std::string& name, std::uint16_t type) {
  std::vector<std::uint8_t> buffer(512);
  MessageWriter writer{buffer};
  const auto owner = Name::parse(name).value();
  writer.question(owner.view(), type, kClassIn);
  if (type == rr::kA) {
    const std::uint8_t address[] = {198, 51, 0, 33};
    (void)writer.record(Section::kAnswer, owner.view(), rr::kA, kClassIn, 3600, address);
  } else {
    const auto zone = Name::parse("zone.example.").value();
    (void)writer.record(Section::kAuthority, zone.view(), rr::kSoa, kClassIn, 3600, kSoa);
  }
  buffer.resize(writer.finish(0, flag::kQr));
  return fact_from_response(buffer, {.now = kNow}, {}).value();
}

std::shared_ptr<const Dns64Runtime> make_runtime(int never = 0) {
  Policy policy;
  TranslationPrefix prefix;
  prefix.name = "p";
  prefix.prefix = Ipv6Prefix::parse("64:ff9b::/96").value();
  prefix.ipv4_ranges = {Ipv4Prefix{}};
  policy.translation_prefixes = {prefix};
  policy.exclusions.ipv6_answers = {Ipv6Prefix::parse("::ffff:0:0/96").value()};
  for (int i = 0; i < never; ++i) policy.exclusions.never_synthesize.push_back(numbered("d%d.test.", i));
  policy.dns64.resolvers.emplace_back().name = "r";
  View view;
  view.clients = {IpPrefix{Ipv6Prefix::parse("2001:db8::/32").value()}};
  view.prefixes = {"p"};
  view.resolver = "r";
  policy.dns64.views = {view};
  ResolverGroups groups;
  return Dns64Runtime::compile(policy, {}, groups).value();
}

// Argument: names in the cache; second: domains on the never-synthesize list.
void CacheHit(benchmark::State& state) {
  const auto names = static_cast<int>(state.range(0));
  const auto runtime = make_runtime(static_cast<int>(state.range(1)));
  FactCache cache{{.max_bytes = std::size_t{2} << 30, .stale_seconds = 0}, HashKey{}};
  std::vector<std::vector<std::uint8_t>> requests;
  for (int i = 0; i < names; ++i) {
    cache.insert(make_fact(host(i), rr::kAaaa), kNow);
    cache.insert(make_fact(host(i), rr::kA), kNow);
    std::vector<std::uint8_t> buffer(128);
    MessageWriter writer{buffer};
    writer.question(Name::parse(host(i)).value().view(), rr::kAaaa, kClassIn);
    (void)writer.record(Section::kAdditional, Name{}.view(), rr::kOpt, 1232, 0, {});
    buffer.resize(writer.finish(7, flag::kRd));
    requests.push_back(std::move(buffer));
  }
  ClientInfo client;
  client.address = Ipv6Address::from_halves(0x20010db800000000, 7);
  std::vector<std::uint8_t> room(65535);
  const Context context{.runtime = *runtime, .cache = cache, .now = kNow};
  std::size_t next = 0;
  for (auto _ : state) {
    Query query;
    const auto step = query.start(requests[next], client, context, room);
    if (step.outcome != Outcome::kSynthesized) state.SkipWithError("not synthesized from the cache");
    benchmark::DoNotOptimize(room.data());
    next =
        (next * 7919 + 12345) % requests.size();  // wander: neighbours in the list are not neighbours in time
  }
  state.counters["bytes_per_name"] = static_cast<double>(cache.stats().bytes) / names;
}
BENCHMARK(CacheHit)->Args({1000, 0})->Args({200000, 0})->Args({1000, 1000000});

void FactFromResponse(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(make_fact("host-1.zone.example.", rr::kA));
}
BENCHMARK(FactFromResponse);

void CompileMillionDomains(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(make_runtime(1000000));
}
BENCHMARK(CompileMillionDomains)->Unit(benchmark::kMillisecond)->Iterations(1);

}  // namespace
}  // namespace isthmus::dns64
