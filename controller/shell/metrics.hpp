// SPDX-License-Identifier: Apache-2.0
// One scrape target that answers "is the system all right": the controller's own figures and the state of
// every service.
#pragma once

#include <string>

#include "common/telemetry/http_endpoint.hpp"
#include "controller/shell/hub.hpp"

namespace isthmus::controller {

// `certificate` is the path of the one shown on the control protocol; empty: plain text.
[[nodiscard]] HttpRoutes management_routes(const Hub& hub, std::string certificate);

}  // namespace isthmus::controller
