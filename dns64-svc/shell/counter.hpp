// SPDX-License-Identifier: Apache-2.0
// A counter or gauge that one thread writes and a scrape reads: a relaxed atomic without locked instructions.
#pragma once

#include <atomic>
#include <cstdint>

namespace isthmus::dns64 {

class Counter {
 public:
  void add(std::uint64_t n = 1) {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  void set(std::uint64_t n) { value_.store(n, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

}  // namespace isthmus::dns64
