// SPDX-License-Identifier: Apache-2.0
// How many services may come in at once. Each that comes is sent whole state and looked at by every decision;
// when a controller returns, all of them come together. Those who are too many are told when to come again,
// one after the other, so that they do not come back together either.
#pragma once

#include <algorithm>
#include <optional>

#include "common/base/clock.hpp"

namespace isthmus::controller {

class Admission {
 public:
  // `rate`: services in a second; also how many may come at one moment after a quiet second. 0: no limit.
  explicit Admission(unsigned rate)
      : interval_(rate == 0 ? Duration{} : Duration{std::chrono::seconds{1}} / rate) {}

  // Nothing: it may come in. Else: it is to stay away for so long.
  [[nodiscard]] std::optional<Duration> wait(TimePoint now) {
    if (interval_ == Duration{}) return std::nullopt;
    full_ = std::max(full_, now);
    if (full_ - now < kBurst) {
      full_ += interval_;
      return std::nullopt;
    }
    turn_ = std::clamp(turn_ + interval_, now + kShortest, now + kLongest);
    return turn_ - now;
  }

  // When the last of those who were sent away may come again.
  [[nodiscard]] TimePoint busy_until() const { return turn_; }

 private:
  static constexpr Duration kBurst = std::chrono::seconds{1};
  static constexpr Duration kShortest = std::chrono::seconds{1};
  static constexpr Duration kLongest = std::chrono::seconds{30};
  Duration interval_;
  TimePoint full_;  // as long as this is ahead of now, that much of the burst is used
  TimePoint turn_;
};

}  // namespace isthmus::controller
