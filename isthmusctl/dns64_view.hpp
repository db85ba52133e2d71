// SPDX-License-Identifier: Apache-2.0
// What the commands about a dns64-svc print. Pure.
#pragma once

#include <string>

#include "isthmus/v1/dns64_status.pb.h"

namespace isthmus {

[[nodiscard]] std::string show(const v1::ExplainDnsResponse& explained);
[[nodiscard]] std::string cache_heading();
[[nodiscard]] std::string show(const v1::CacheEntry& entry);  // one line
[[nodiscard]] std::string to_json(
    const google::protobuf::Message& message);  // one line, field names as in the schema

}  // namespace isthmus
