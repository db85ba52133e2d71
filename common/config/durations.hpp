// SPDX-License-Identifier: Apache-2.0
// Durations as text ("300s", "5m", "2h", "250ms", "1.5s") and as google.protobuf.Duration. Bounded to ten
// years.
#pragma once

#include <google/protobuf/duration.pb.h>

#include <optional>
#include <string>
#include <string_view>

#include "common/base/clock.hpp"

namespace isthmus {

[[nodiscard]] std::optional<Duration> parse_duration(std::string_view text);
[[nodiscard]] std::string format_duration(
    Duration duration);  // whole seconds "300s", else milliseconds "250ms"
// Values beyond ten years, negative ones included, are clamped.
[[nodiscard]] Duration duration_from_proto(const google::protobuf::Duration& duration);
[[nodiscard]] google::protobuf::Duration duration_to_proto(Duration duration);

}  // namespace isthmus
