// SPDX-License-Identifier: Apache-2.0
// A fixed number of records, handed out by number. Memory is touched only as far as it was ever used.
// T is trivially copyable and has set_live(bool)/live().
#pragma once

#include <cstdint>
#include <memory_resource>
#include <type_traits>

#include "nat64-svc/core/tables/flat_index.hpp"

namespace isthmus::nat64 {

template <class T>
class Slab {
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);

 public:
  Slab(std::uint32_t capacity, std::pmr::memory_resource* memory)
      : capacity_(capacity),
        memory_(memory),
        records_(static_cast<T*>(memory->allocate(bytes(), alignof(T)))) {}
  ~Slab() { memory_->deallocate(records_, bytes(), alignof(T)); }
  Slab(const Slab&) = delete;
  Slab& operator=(const Slab&) = delete;

  // A fresh record, or kNone when all are taken.
  [[nodiscard]] std::uint32_t take() {
    if (free_ == kNone && touched_ == capacity_) return kNone;
    std::uint32_t number = touched_;
    if (free_ != kNone) {
      number = free_;
      free_ = records_[number].next_free();
    } else {
      ++touched_;
    }
    records_[number] = T{};
    records_[number].set_live(true);
    ++used_;
    return number;
  }
  void give_back(std::uint32_t number) {
    records_[number] = T{};
    records_[number].set_next_free(free_);
    free_ = number;
    --used_;
  }
  [[nodiscard]] T& operator[](std::uint32_t number) { return records_[number]; }
  [[nodiscard]] const T& operator[](std::uint32_t number) const { return records_[number]; }
  [[nodiscard]] std::uint32_t used() const { return used_; }
  [[nodiscard]] std::uint32_t touched() const { return touched_; }  // numbers below may be live
  [[nodiscard]] std::uint32_t capacity() const { return capacity_; }

 private:
  [[nodiscard]] std::size_t bytes() const { return std::size_t{capacity_} * sizeof(T); }
  std::uint32_t capacity_;
  std::pmr::memory_resource* memory_;
  T* records_;
  std::uint32_t free_ = kNone;
  std::uint32_t touched_ = 0;
  std::uint32_t used_ = 0;
};

}  // namespace isthmus::nat64
