// SPDX-License-Identifier: Apache-2.0
// Termination as an event: SIGTERM and SIGINT are blocked in every thread and read from a descriptor, so no
// code runs in a signal handler. SIGPIPE is ignored: a peer that goes away is an error of write().
#pragma once

#include <chrono>
#include <optional>

#include "common/base/unique_fd.hpp"

namespace isthmus {

class StopSignals {
 public:
  // Make it first thing in main, before any thread: threads inherit the mask. With `hang_up` SIGHUP is read
  // too (a program that reopens its files on it) instead of ending the program. Throws std::system_error.
  explicit StopSignals(bool hang_up = false);

  // The number of the signal that came, or nothing after `patience` (negative: wait for ever).
  [[nodiscard]] std::optional<int> wait(std::chrono::milliseconds patience = std::chrono::milliseconds{-1});
  [[nodiscard]] int fd() const { return fd_.get(); }  // for poll; readable when a signal waits

 private:
  UniqueFd fd_;
};

}  // namespace isthmus
