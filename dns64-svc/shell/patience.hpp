// SPDX-License-Identifier: Apache-2.0
// How long a thread that writes to somebody waits for them: as long as it may while the process runs, and not
// much longer once it ends.
#pragma once

#include <poll.h>

#include <algorithm>
#include <atomic>
#include <cerrno>

#include "common/base/clock.hpp"

namespace isthmus::dns64 {

class Patience {
 public:
  // From any thread. What is under way has this long from now.
  void end_soon() { until_.store(boot_now() + kAtTheEnd, std::memory_order_relaxed); }
  // Until `fd` is ready; false: not by `limit`, or patience has ended. A broken peer counts as ready, the
  // next operation tells.
  [[nodiscard]] bool wait(int fd, short events, TimePoint limit = TimePoint::max()) const {
    while (boot_now() < std::min(limit, until_.load(std::memory_order_relaxed))) {
      pollfd one{.fd = fd, .events = events, .revents = 0};
      const int ready = poll(&one, 1, kSliceMs);
      if (ready > 0) return true;
      if (ready < 0 && errno != EINTR) return false;
    }
    return false;
  }

 private:
  static constexpr Duration kAtTheEnd = std::chrono::seconds{1};
  static constexpr int kSliceMs = 100;  // after which end_soon() is seen
  std::atomic<TimePoint> until_{TimePoint::max()};
};

}  // namespace isthmus::dns64
