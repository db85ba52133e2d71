// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/shell/metrics.hpp"

#include <array>
#include <map>
#include <string>

#include "common/telemetry/metrics_page.hpp"
#include "dns64-svc/core/wire/constants.hpp"
#include "dns64-svc/core/wire/presentation.hpp"
#include "dns64-svc/shell/stream_metrics.hpp"

namespace isthmus::dns64 {

namespace {

using Read = std::uint64_t (*)(const WorkerStats&);

std::uint64_t sum(const Server& server, const auto& read) {
  std::uint64_t total = 0;
  for (const auto& worker : server.workers()) total += read(worker->stats());
  return total;
}

void add_queries(MetricsPage& page, const Server& server) {
  for (std::size_t t = 0; t < WorkerStats::kTransports; ++t) {
    const auto transport = kTransportNames[static_cast<Transport>(t)];
    for (std::size_t o = 0; o < kEnumSize<Outcome>; ++o) {
      const auto n = sum(server, [&](const WorkerStats& s) { return s.outcomes[t][o].get(); });
      if (n == 0) continue;  // a series per outcome that happened
      page.counter("isthmus_dns64_queries_total", "Queries answered, by why the answer is what it is",
                   {{"transport", transport}, {"outcome", kOutcomeNames[static_cast<Outcome>(o)]}},
                   static_cast<double>(n));
    }
    for (std::size_t r = 0; r < WorkerStats::kRcodes; ++r) {
      const auto n = sum(server, [&](const WorkerStats& s) { return s.rcodes[t][r].get(); });
      if (n == 0) continue;
      page.counter("isthmus_dns64_responses_total", "Responses by RCODE",
                   {{"transport", transport}, {"rcode", rcode_name(static_cast<std::uint16_t>(r))}},
                   static_cast<double>(n));
    }
    for (std::size_t d = 0; d < kEnumSize<DropReason>; ++d) {
      const auto n = sum(server, [&](const WorkerStats& s) { return s.drops[t][d].get(); });
      if (n == 0 && t > 1) continue;  // UDP and TCP are always shown
      page.counter("isthmus_dns64_drops_total", "Requests that got no reply",
                   {{"transport", transport}, {"reason", kDropReasonNames[static_cast<DropReason>(d)]}},
                   static_cast<double>(n));
    }
  }
}

// Summed over the workers: each has counters of its own under the same names.
void add_named(MetricsPage& page, const Server& server) {
  std::map<std::string, std::array<std::uint64_t, kEnumSize<Outcome>>> views;
  std::map<std::string, std::uint64_t> prefixes;
  for (const auto& worker : server.workers()) {
    worker->stats().views.for_each([&](const std::string& name, const ViewStats& view) {
      for (std::size_t o = 0; o < kEnumSize<Outcome>; ++o) views[name][o] += view.outcomes[o].get();
    });
    worker->stats().prefixes.for_each([&](const std::string& name, const PrefixStats& prefix) {
      prefixes[name] += prefix.synthesized.get();
    });
  }
  for (const auto& [name, outcomes] : views) {
    for (std::size_t o = 0; o < kEnumSize<Outcome>; ++o) {
      if (outcomes[o] == 0) continue;
      page.counter("isthmus_dns64_view_queries_total",
                   "Queries answered by a view, by why the answer is what it is",
                   {{"view", name}, {"outcome", kOutcomeNames[static_cast<Outcome>(o)]}},
                   static_cast<double>(outcomes[o]));
    }
  }
  for (const auto& [name, synthesized] : prefixes)
    page.counter("isthmus_dns64_prefix_answers_total", "Replies with addresses of a translation prefix",
                 {{"prefix", name}}, static_cast<double>(synthesized));
}

void add_latency(MetricsPage& page, const Server& server, std::string_view cache,
                 LatencyHistogram WorkerStats::* histogram) {
  std::vector<std::pair<double, std::uint64_t>> buckets;
  for (std::size_t i = 0; i + 1 < LatencyHistogram::kBuckets; ++i) {
    buckets.emplace_back(static_cast<double>(std::uint64_t{1} << i) * 1e-6,
                         sum(server, [&](const WorkerStats& s) { return (s.*histogram).bucket(i); }));
  }
  const auto over = sum(
      server, [&](const WorkerStats& s) { return (s.*histogram).bucket(LatencyHistogram::kBuckets - 1); });
  const auto total = sum(server, [&](const WorkerStats& s) { return (s.*histogram).total_ns(); });
  page.histogram("isthmus_dns64_answer_seconds", "Time from request to reply", {{"cache", cache}}, buckets,
                 over, static_cast<double>(total) * 1e-9);
}

void add_gauges(MetricsPage& page, const Server& server) {
  const auto gauge = [&](std::string_view name, std::string_view help, Read read) {
    page.gauge(name, help, {}, static_cast<double>(sum(server, read)));
  };
  gauge("isthmus_dns64_pending_queries", "Queries that wait for a lookup",
        [](const WorkerStats& s) { return s.pending.get(); });
  gauge("isthmus_dns64_lookups_in_flight", "Questions to upstreams under way",
        [](const WorkerStats& s) { return s.lookups.get(); });
  const auto counter = [&](std::string_view name, std::string_view help, Read read) {
    page.counter(name, help, {}, static_cast<double>(sum(server, read)));
  };
  counter("isthmus_dns64_refreshes_total", "Lookups in the background: popular names about to expire",
          [](const WorkerStats& s) { return s.refreshes.get(); });
  counter("isthmus_dns64_udp_send_failures_total", "Replies that the kernel would not send",
          [](const WorkerStats& s) { return s.udp_send_failures.get(); });
}

void add_lookup_failures(MetricsPage& page, const Server& server) {
  for (std::size_t i = 0; i < kEnumSize<ResolveFailure>; ++i) {
    const auto why = static_cast<ResolveFailure>(i);
    if (why == ResolveFailure::kTimeout) continue;  // of a query: its lookup goes on and ends otherwise
    page.counter(
        "isthmus_dns64_lookup_failures_total", "Lookups that gave no good answer, by why",
        {{"reason", kResolveFailureNames[why]}},
        static_cast<double>(sum(server, [&](const WorkerStats& s) { return s.lookup_failures[i].get(); })));
  }
}

void add_cache(MetricsPage& page, const FactCache::Stats& cache) {
  page.gauge("isthmus_dns64_cache_entries", "Facts in the cache", {}, static_cast<double>(cache.entries));
  page.gauge("isthmus_dns64_cache_bytes", "Memory of the facts", {}, static_cast<double>(cache.bytes));
  page.counter("isthmus_dns64_cache_inserts_total", "Facts put into the cache", {},
               static_cast<double>(cache.inserts));
  page.counter("isthmus_dns64_cache_evictions_total", "Facts that left for want of room", {},
               static_cast<double>(cache.evictions));
  page.counter("isthmus_dns64_cache_flushed_total", "Facts that left because an operator said so", {},
               static_cast<double>(cache.flushed));
  page.counter("isthmus_dns64_cache_expired_total", "Facts that left for age", {},
               static_cast<double>(cache.expired));
}

}  // namespace

Totals totals(const Server& server) {
  Totals totals;
  for (const auto& worker : server.workers()) {
    const auto& stats = worker->stats();
    for (std::size_t t = 0; t < WorkerStats::kTransports; ++t) {
      for (const auto& outcome : stats.outcomes[t]) totals.queries += outcome.get();
      for (auto outcome : {Outcome::kSynthesized, Outcome::kSynthesizedExcludedAaaa,
                           Outcome::kSynthesizedAlways, Outcome::kSynthesizedAaaaFailed})
        totals.synthesized += stats.outcomes[t][static_cast<std::size_t>(outcome)].get();
      totals.failures += stats.rcodes[t][rcode::kServFail].get();
    }
  }
  return totals;
}

HttpReply metrics_reply(const Server& server, const FeedStatus& feed) {
  MetricsPage page;
  add_queries(page, server);
  add_named(page, server);
  add_latency(page, server, "hit", &WorkerStats::hits);
  add_latency(page, server, "miss", &WorkerStats::misses);
  add_gauges(page, server);
  add_lookup_failures(page, server);
  add_stream_metrics(page, server);
  add_cache(page, server.cache_stats());
  page.counter("isthmus_dns64_tap_lost_total", "Records that the query log or dnstap could not take", {},
               static_cast<double>(server.tap_records_lost()));
  page.gauge("isthmus_dns64_ready", "1 when clients should be sent here", {},
             server.not_ready_because().empty());
  page.gauge("isthmus_build_info", "Always 1; the labels say what runs",
             {{"program", "dns64-svc"}, {"version", ISTHMUS_VERSION}}, 1);
  page.gauge("isthmus_feed_connected", "1 when orders can reach this service", {}, feed.connected);
  page.gauge("isthmus_feed_policy_version", "Counter of the policy that runs", {},
             static_cast<double>(feed.policy_version.counter));
  page.counter("isthmus_feed_rejected_total", "What this service was sent and refused", {},
               static_cast<double>(feed.rejected_total));
  if (feed.certificate_expiry) {
    page.gauge("isthmus_tls_certificate_expiry_timestamp_seconds",
               "When the certificate that this program shows on the control protocol ends, Unix time", {},
               static_cast<double>(*feed.certificate_expiry));
  }
  return page.reply();
}

}  // namespace isthmus::dns64
