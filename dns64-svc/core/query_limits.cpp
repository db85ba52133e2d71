// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/core/query_limits.hpp"

#include <algorithm>

#include "dns64-svc/core/lookup_zone.hpp"

namespace isthmus::dns64 {
namespace {

constexpr unsigned kRefusalBits = 12;  // of its table: 4096 networks

// Random names must not have a bucket each: errors and names that do not exist have one, empty answers one
// for each zone.
NameView bucket_of(NameView name, const Step& reply) {
  if (reply.rcode != rcode::kNoError) return {};
  return reply.is_nodata ? lookup_zone(name) : name;
}

std::uint32_t times(std::uint32_t rate, std::uint64_t factor) {
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(rate * factor, 0xffffffff));
}

}  // namespace

QueryLimits::QueryLimits(unsigned workers, std::uint32_t responses_per_second, const HashKey& key)
    : workers_(std::max(workers, 1U)),
      key_(key),
      clients_{ClientRateLimit{0, key}, ClientRateLimit{0, key}},
      responses_(share_of(responses_per_second), key),
      zones_(times(share_of(responses_per_second), kNamesOfZone), key),
      refusals_(share_of(kRefusalsPerSecond), key, kRefusalBits) {}

std::uint32_t QueryLimits::share_of(std::uint32_t rate) const {
  return rate / workers_ + (rate % workers_ != 0 ? 1 : 0);
}

void QueryLimits::limit_clients(std::uint32_t queries_per_second) {
  const auto rate = share_of(queries_per_second);
  if (rate == client_rate_) return;  // what clients have used up stays used
  client_rate_ = rate;
  for (auto& clients : clients_) clients = ClientRateLimit{rate, key_};
}

ResponseVerdict QueryLimits::judge(const Query& query, const Step& reply, TimePoint now) {
  const auto& client = query.client().address;
  if (is_refusal(reply.outcome)) {
    // To a victim all of them are alike: one bucket for all kinds.
    const bool allowed = refusals_.judge(client, {}, rcode::kRefused, now) == ResponseVerdict::kSend;
    return allowed ? ResponseVerdict::kSend : ResponseVerdict::kDrop;
  }
  const auto name = query.request().name.view();
  const auto verdict = responses_.judge(client, bucket_of(name, reply), reply.rcode, now);
  const bool has_data = reply.rcode == rcode::kNoError && !reply.is_nodata;
  if (verdict != ResponseVerdict::kSend || !has_data) return verdict;
  return zones_.judge(client, lookup_zone(name), reply.rcode, now);
}

}  // namespace isthmus::dns64
