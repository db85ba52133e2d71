// SPDX-License-Identifier: Apache-2.0
// What a scrape sees of streams, TLS and the PROXY protocol.
#pragma once

#include "common/telemetry/metrics_page.hpp"
#include "dns64-svc/shell/server.hpp"

namespace isthmus::dns64 {

void add_stream_metrics(MetricsPage& page, const Server& server);

}  // namespace isthmus::dns64
