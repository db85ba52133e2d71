// SPDX-License-Identifier: Apache-2.0
// Reconnect delays: 200 ms doubling to 5 s, each drawn from the upper half of its range, so that services
// that lost one controller together do not come back together.
#pragma once

#include <algorithm>
#include <cstdint>
#include <random>

#include "common/base/clock.hpp"

namespace isthmus {

class Backoff {
 public:
  explicit Backoff(std::uint64_t seed) : random_(seed) {}

  [[nodiscard]] Duration next() {
    const auto ceiling = ceiling_;
    ceiling_ = std::min<Duration>(ceiling_ * 2, kMax);
    return Duration{
        std::uniform_int_distribution<Duration::rep>{ceiling.count() / 2, ceiling.count()}(random_)};
  }
  void reset() { ceiling_ = kMin; }  // the stream lives
  // A wait that the controller asked for, and up to a quarter more: it may have told many the same.
  [[nodiscard]] Duration at_least(Duration asked) {
    return asked + Duration{std::uniform_int_distribution<Duration::rep>{0, asked.count() / 4}(random_)};
  }

  static constexpr Duration kMin = std::chrono::milliseconds{200};
  static constexpr Duration kMax = std::chrono::seconds{5};

 private:
  std::mt19937_64 random_;
  Duration ceiling_ = kMin;
};

}  // namespace isthmus
