// SPDX-License-Identifier: Apache-2.0
// What a scrape sees: the workers' counters summed, and the state of cache and feed.
#pragma once

#include "common/control/service_handlers.hpp"
#include "common/telemetry/http_endpoint.hpp"
#include "dns64-svc/shell/server.hpp"

namespace isthmus::dns64 {

[[nodiscard]] HttpReply metrics_reply(const Server& server, const FeedStatus& feed);

struct Totals {
  std::uint64_t queries = 0;  // answered
  std::uint64_t synthesized = 0;
  std::uint64_t failures = 0;  // SERVFAIL
};
[[nodiscard]] Totals totals(const Server& server);

}  // namespace isthmus::dns64
