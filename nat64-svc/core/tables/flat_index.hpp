// SPDX-License-Identifier: Apache-2.0
// A hash index over records that live elsewhere: open addressing, linear probing, four bytes a slot. A slot
// holds the record's number and a few bits of its hash, so that a probe seldom touches a record in vain.
// Nothing is allocated after construction and nothing is left behind by an erase (backward shift).
#pragma once

#include <bit>
#include <cstdint>
#include <memory_resource>
#include <vector>

namespace isthmus::nat64 {

inline constexpr std::uint32_t kNone = 0xffffffff;

// The empty asm says that this does something: GCC drops calls of functions that only prefetch.
inline void fetch_ahead(const void* memory) {
  __builtin_prefetch(memory);
  asm volatile("" : : "r"(memory));
}

class FlatIndex {
 public:
  // Room for `capacity` records, at two thirds full.
  FlatIndex(std::uint32_t capacity, std::pmr::memory_resource* memory)
      : slots_(std::size_t{capacity} + capacity / 2 + 8, 0, memory),
        number_bits_(static_cast<unsigned>(std::bit_width(std::uint64_t{capacity} + 1))) {}

  template <class Match>
  [[nodiscard]] std::uint32_t find(std::uint64_t hash, Match&& match) const {
    const std::uint32_t tag = tag_of(hash);
    for (std::size_t at = home(hash);; at = after(at)) {
      const std::uint32_t slot = slots_[at];
      if (slot == 0) return kNone;
      if ((slot & ~number_mask()) == tag && match(number(slot))) return number(slot);
    }
  }

  void insert(std::uint64_t hash, std::uint32_t record) {
    std::size_t at = home(hash);
    while (slots_[at] != 0) at = after(at);
    slots_[at] = tag_of(hash) | (record + 1);
  }

  // `hash_of(record)` gives the hash that a record was inserted with.
  template <class HashOf>
  void erase(std::uint64_t hash, std::uint32_t record, HashOf&& hash_of) {
    std::size_t hole = home(hash);
    while (slots_[hole] != 0 && number(slots_[hole]) != record) hole = after(hole);
    if (slots_[hole] == 0) return;
    for (std::size_t at = after(hole); slots_[at] != 0; at = after(at)) {
      const std::size_t wanted = home(hash_of(number(slots_[at])));
      if (distance(wanted, at) >= distance(hole, at)) {  // may move back into the hole
        slots_[hole] = slots_[at];
        hole = at;
      }
    }
    slots_[hole] = 0;
  }

  // For bursts: fetch the slot first; later the record that will most likely match, or kNone.
  void prefetch(std::uint64_t hash) const { fetch_ahead(&slots_[home(hash)]); }
  [[nodiscard]] std::uint32_t candidate(std::uint64_t hash) const {
    return find(hash, [](std::uint32_t) { return true; });
  }

 private:
  [[nodiscard]] std::uint32_t number_mask() const {
    return static_cast<std::uint32_t>((std::uint64_t{1} << number_bits_) - 1);
  }
  [[nodiscard]] std::uint32_t number(std::uint32_t slot) const { return (slot & number_mask()) - 1; }
  [[nodiscard]] std::uint32_t tag_of(std::uint64_t hash) const {
    return static_cast<std::uint32_t>(hash) & ~number_mask();
  }
  [[nodiscard]] std::size_t home(std::uint64_t hash) const {
    return static_cast<std::size_t>((hash >> 32) * slots_.size() >> 32);
  }
  [[nodiscard]] std::size_t after(std::size_t at) const { return at + 1 == slots_.size() ? 0 : at + 1; }
  [[nodiscard]] std::size_t distance(std::size_t from, std::size_t to) const {
    return to >= from ? to - from : to + slots_.size() - from;
  }

  std::pmr::vector<std::uint32_t> slots_;
  unsigned number_bits_;
};

}  // namespace isthmus::nat64
