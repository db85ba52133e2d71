// SPDX-License-Identifier: Apache-2.0
// Words of requests to values of the core. Pure; errors say which field and what it should be.
#pragma once

#include <string>

#include "common/base/result.hpp"
#include "isthmus/v1/nat64_status.pb.h"
#include "nat64-svc/core/inspect.hpp"
#include "nat64-svc/shell/capture/capture_filter.hpp"

namespace isthmus::nat64 {

[[nodiscard]] Result<Filter, std::string> read_filter(const v1::ListTablesRequest& request);
[[nodiscard]] Result<CaptureFilter, std::string> read_filter(const v1::CaptureRequest& request);
[[nodiscard]] v1::TransportProtocol flow_protocol(Protocol protocol);

}  // namespace isthmus::nat64
