// SPDX-License-Identifier: Apache-2.0
// The last events, numbered, for operators who follow what happens. Bounded; not kept over a restart.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <string>
#include <utility>

#include "common/base/clock.hpp"
#include "common/base/utf8.hpp"
#include "controller/core/messages.hpp"

namespace isthmus::controller {

struct LoggedEvent {
  std::uint64_t number = 0;  // 1, 2, ...
  WallTime time;
  Event event;
};

class EventLog {
 public:
  static constexpr std::size_t kKept = 10000;
  static constexpr std::size_t kMaxText = 2000;  // bytes: some name every address

  void add(Event event, WallTime time) {
    event.text = utf8_within(event.text, kMaxText);
    events_.push_back({++last_, time, std::move(event)});
    if (events_.size() > kKept) events_.pop_front();
  }
  // The oldest first.
  [[nodiscard]] const std::deque<LoggedEvent>& events() const { return events_; }
  [[nodiscard]] std::uint64_t last() const { return last_; }
  // Index of the first event after number `after`.
  [[nodiscard]] std::size_t first_after(std::uint64_t after) const {
    if (events_.empty() || after < events_.front().number) return 0;
    return static_cast<std::size_t>(
        std::min<std::uint64_t>(after - events_.front().number + 1, events_.size()));
  }
  // Were there events after `after` that are not kept any more?
  [[nodiscard]] bool missed(std::uint64_t after) const {
    return !events_.empty() && after + 1 < events_.front().number;
  }

 private:
  std::deque<LoggedEvent> events_;
  std::uint64_t last_ = 0;
};

}  // namespace isthmus::controller
