// SPDX-License-Identifier: Apache-2.0
// One immutable value, replaced as a whole by one thread and read by many. A reader compares a generation
// number once per burst and takes the lock only when it changed.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

namespace isthmus::nat64 {

template <class T>
class Published {
 public:
  // Returns the generation of this value; the first is 1.
  std::uint64_t publish(std::shared_ptr<const T> value) {
    const std::lock_guard lock(mutex_);
    value_ = std::move(value);
    const auto next = generation_.load(std::memory_order_relaxed) + 1;
    generation_.store(next, std::memory_order_release);
    return next;
  }
  [[nodiscard]] std::shared_ptr<const T> get() const {
    const std::lock_guard lock(mutex_);
    return value_;
  }

  class Reader {
   public:
    explicit Reader(const Published& source) : source_(source) {}
    // True when the value changed since the last call.
    bool refresh() {
      if (source_.generation_.load(std::memory_order_acquire) == seen_) return false;
      const std::lock_guard lock(source_.mutex_);
      value_ = source_.value_;
      seen_ = source_.generation_.load(std::memory_order_relaxed);
      return true;
    }
    [[nodiscard]] const std::shared_ptr<const T>& value() const { return value_; }
    [[nodiscard]] std::uint64_t generation() const { return seen_; }

   private:
    const Published& source_;
    std::shared_ptr<const T> value_;
    std::uint64_t seen_ = 0;
  };

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const T> value_;
  std::atomic<std::uint64_t> generation_{0};
};

}  // namespace isthmus::nat64
