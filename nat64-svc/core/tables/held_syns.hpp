// SPDX-License-Identifier: Apache-2.0
// RFC 6146 §3.5.2.2 (V4 INIT without a binding) and RFC 5382 REQ-4: an unsolicited SYN is not answered for 6
// seconds; if the client opens the same connection meanwhile it is forgotten. Bounded; all wait equally long.
#pragma once

#include <algorithm>
#include <array>
#include <span>
#include <vector>

#include "common/base/clock.hpp"
#include "common/net/keyed_hash.hpp"
#include "nat64-svc/core/tables/flat_index.hpp"
#include "nat64-svc/core/tuple.hpp"

namespace isthmus::nat64 {

class HeldSyns {
 public:
  HeldSyns(std::uint32_t capacity, HashKey key)
      : key_(key), entries_(capacity), index_(capacity, std::pmr::new_delete_resource()) {}

  // Keeps as much of the packet as an ICMP error should quote. False: no room. Held already: true, the clock
  // runs on.
  [[nodiscard]] bool hold(const Tuple4& tuple, std::span<const std::uint8_t> packet, TimePoint deadline) {
    if (find(tuple) != kNone) return true;
    if (used_ == entries_.size()) return false;
    const auto number = static_cast<std::uint32_t>((first_ + used_) % entries_.size());
    Entry& entry = entries_[number];
    entry.tuple = tuple;
    entry.deadline = deadline;
    entry.length = static_cast<std::uint16_t>(std::min(packet.size(), kQuote));
    std::copy_n(packet.begin(), entry.length, entry.bytes.begin());
    entry.waiting = true;
    index_.insert(hash(tuple), number);
    ++used_;
    return true;
  }
  [[nodiscard]] bool contains(const Tuple4& tuple) const { return used_ != 0 && find(tuple) != kNone; }
  // The client has opened the connection itself.
  void forget(const Tuple4& tuple) {
    const auto number = find(tuple);
    if (number == kNone) return;
    index_.erase(hash(tuple), number, [&](std::uint32_t n) { return hash(entries_[n].tuple); });
    entries_[number].waiting = false;
  }
  // answer(bytes) for each that waited in vain.
  template <class Answer>
  void expire(TimePoint now, Answer&& answer) {
    while (used_ > 0 && entries_[first_].deadline <= now) {
      Entry& entry = entries_[first_];
      if (entry.waiting) {
        index_.erase(hash(entry.tuple), first_, [&](std::uint32_t n) { return hash(entries_[n].tuple); });
        answer(std::span<const std::uint8_t>{entry.bytes}.first(entry.length));
      }
      first_ = static_cast<std::uint32_t>((first_ + 1) % entries_.size());
      --used_;
    }
  }
  [[nodiscard]] std::uint32_t used() const { return used_; }

 private:
  static constexpr std::size_t kQuote = 128;
  struct Entry {
    Tuple4 tuple;
    TimePoint deadline;
    std::uint16_t length = 0;
    bool waiting = false;
    std::array<std::uint8_t, kQuote> bytes{};
  };
  [[nodiscard]] std::uint64_t hash(const Tuple4& t) const {
    return keyed_hash(key_, std::uint64_t{t.public4.address.value()} << 32 | t.server4.address.value(),
                      std::uint64_t{t.public4.port} << 16 | t.server4.port);
  }
  [[nodiscard]] std::uint32_t find(const Tuple4& tuple) const {
    return index_.find(hash(tuple), [&](std::uint32_t n) { return entries_[n].tuple == tuple; });
  }
  HashKey key_;
  std::vector<Entry> entries_;  // a ring, oldest first
  FlatIndex index_;
  std::uint32_t first_ = 0;
  std::uint32_t used_ = 0;
};

}  // namespace isthmus::nat64
