// SPDX-License-Identifier: Apache-2.0
// When the kernel's tables are read again after changes. Changes rarely come alone, so they are waited for a
// little; and however fast they come, each kind of reading takes no more than a fifth of the time: with a
// full table of the internet one reading of the routes takes seconds. Neighbours change most often and are
// read without them, also while the routes rest: a packet waits for its neighbour. Pure: time is an argument.
// Not thread-safe.
#pragma once

#include <algorithm>
#include <array>
#include <optional>

#include "common/base/clock.hpp"

namespace isthmus::nat64 {

enum class Reading : std::uint8_t {
  kAll,         // links, addresses, routes, neighbours
  kNeighbours,  // all but the routes
};

class ReadPace {
 public:
  static constexpr Duration kSettle = std::chrono::milliseconds{10};
  static constexpr int kRest = 4;  // times as long as the reading took

  void changed(Reading what, TimePoint now) {
    auto& table = tables_[index(what)];
    if (!table.due) table.due = std::max(now + kSettle, table.rested);
  }
  // What is to be read now. A reading of all is one of the neighbours, too.
  [[nodiscard]] std::optional<Reading> take(TimePoint now) {
    for (const auto what : {Reading::kAll, Reading::kNeighbours}) {
      auto& table = tables_[index(what)];
      if (!table.due || *table.due > now) continue;
      table.due.reset();
      if (what == Reading::kAll) tables_[index(Reading::kNeighbours)].due.reset();
      return what;
    }
    return std::nullopt;
  }
  // Also of one that failed.
  void took(Reading what, TimePoint began, TimePoint ended) {
    tables_[index(what)].rested = ended + kRest * (ended - began);
  }
  // When take() may have something; none: not before the next change.
  [[nodiscard]] std::optional<TimePoint> next() const {
    const auto &all = tables_[0].due, &neighbours = tables_[1].due;
    return all && neighbours ? std::min(all, neighbours) : all ? all : neighbours;
  }

 private:
  struct Table {
    std::optional<TimePoint> due;
    TimePoint rested;
  };
  static std::size_t index(Reading what) { return static_cast<std::size_t>(what); }
  std::array<Table, 2> tables_;
};

}  // namespace isthmus::nat64
