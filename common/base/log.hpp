// SPDX-License-Identifier: Apache-2.0
// Logging is spdlog (`spdlog::info("...")` anywhere in a shell); this sets it up once per program: lines to
// stderr with UTC times, as text for people or as one JSON object per line for collectors.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/clock.hpp"
#include "common/base/result.hpp"

namespace isthmus {

struct LogOptions {
  std::string level = "info";   // trace, debug, info, warning, error, critical, off
  std::string format = "text";  // text, json
};

// Call before threads start. The error is a sentence with the remedy.
[[nodiscard]] Result<void, std::string> set_up_log(std::string_view program, const LogOptions& options);

// Lets one message through per interval, so that a peer cannot fill the disk:
//
//   if (const auto missed = limit_.pass(now)) spdlog::warn("short frame ({} more like it)", *missed);
//
// Not thread-safe: one per thread.
class LogLimit {
 public:
  explicit LogLimit(Duration interval = std::chrono::seconds{10}) : interval_(interval) {}
  // How many were held back since the last that passed, or nothing: stay silent.
  [[nodiscard]] std::optional<std::uint64_t> pass(TimePoint now);

 private:
  Duration interval_;
  std::optional<TimePoint> last_;
  std::uint64_t held_back_ = 0;
};

}  // namespace isthmus
