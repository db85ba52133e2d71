// SPDX-License-Identifier: Apache-2.0
// What one worker counts. Written by its thread alone, read by a scrape: relaxed atomics without locked
// instructions.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

#include "common/base/clock.hpp"
#include "common/base/enum_names.hpp"
#include "dns64-svc/core/client_info.hpp"
#include "dns64-svc/core/drop_reason.hpp"
#include "dns64-svc/core/outcome.hpp"
#include "dns64-svc/core/resolve_failure.hpp"
#include "dns64-svc/shell/counter.hpp"
#include "dns64-svc/shell/named_stats.hpp"
#include "dns64-svc/shell/stream_stats.hpp"

namespace isthmus::dns64 {

// Buckets of powers of two: bucket i counts what took less than 2^i microseconds and at least half of it.
class LatencyHistogram {
 public:
  static constexpr std::size_t kBuckets = 24;  // the last: 8.4 s and more
  void add(Duration took, std::uint64_t times = 1) {
    const auto us = static_cast<std::uint64_t>(std::max<std::int64_t>(took.count() / 1000, 0));
    buckets_[std::min<std::size_t>(static_cast<std::size_t>(std::bit_width(us)), kBuckets - 1)].add(times);
    total_ns_.add(static_cast<std::uint64_t>(std::max<std::int64_t>(took.count(), 0)) * times);
  }
  [[nodiscard]] std::uint64_t bucket(std::size_t i) const { return buckets_[i].get(); }
  [[nodiscard]] std::uint64_t total_ns() const { return total_ns_.get(); }

 private:
  std::array<Counter, kBuckets> buckets_;
  Counter total_ns_;
};

// What is counted under the name of a view.
struct ViewStats {
  std::array<Counter, kEnumSize<Outcome>> outcomes;
};
// And of a translation prefix: replies whose first synthesized address lies in it.
struct PrefixStats {
  Counter synthesized;
};

struct WorkerStats {
  static constexpr std::size_t kTransports = kEnumSize<Transport>;
  static constexpr std::size_t kRcodes = 24;  // up to BADCOOKIE
  std::array<std::array<Counter, kEnumSize<Outcome>>, kTransports> outcomes;
  std::array<std::array<Counter, kRcodes>, kTransports> rcodes;
  std::array<std::array<Counter, kEnumSize<DropReason>>, kTransports> drops;
  LatencyHistogram hits;    // answered at once; time since the turn began
  LatencyHistogram misses;  // waited for a lookup
  Counter pending;          // gauge: queries that wait
  Counter lookups;          // gauge: lookups in flight
  std::array<Counter, kEnumSize<ResolveFailure>> lookup_failures;
  StreamStats streams;
  Counter udp_send_failures;
  Counter udp_proxy_errors;  // datagrams of listed balancers without a good PROXY header
  Counter refreshes;         // lookups of popular names before they expire
  NamedStats<ViewStats> views;
  NamedStats<PrefixStats> prefixes;
};

}  // namespace isthmus::dns64
