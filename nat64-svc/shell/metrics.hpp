// SPDX-License-Identifier: Apache-2.0
// The /metrics page: sums nothing away that an operator could ask for, takes no lock of the packet path.
#pragma once

#include "common/control/service_handlers.hpp"
#include "common/telemetry/metrics_page.hpp"
#include "nat64-svc/shell/gateway.hpp"

namespace isthmus::nat64 {

[[nodiscard]] HttpReply metrics_reply(const Gateway& gateway, const FeedStatus& feed);

}  // namespace isthmus::nat64
