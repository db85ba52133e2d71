// SPDX-License-Identifier: Apache-2.0
// Time as the cores see it: `now` is always an argument, never read inside a core.
// TimePoint counts CLOCK_BOOTTIME (it runs on while the machine sleeps, as leases and mappings must: a packet
// that comes after a suspend finds its mapping aged). Only shells call boot_now() and wall_now().
#pragma once

#include <time.h>

#include <chrono>

namespace isthmus {

using Duration = std::chrono::nanoseconds;

struct BootClock {
  using duration = Duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<BootClock, duration>;
  static constexpr bool is_steady = true;
};

using TimePoint = BootClock::time_point;
using WallTime = std::chrono::time_point<std::chrono::system_clock, std::chrono::milliseconds>;

// For shells only.
[[nodiscard]] inline TimePoint boot_now() {
  timespec ts{};
  clock_gettime(CLOCK_BOOTTIME, &ts);
  return TimePoint{std::chrono::seconds{ts.tv_sec} + std::chrono::nanoseconds{ts.tv_nsec}};
}

[[nodiscard]] inline WallTime wall_now() {
  return std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

}  // namespace isthmus
