// SPDX-License-Identifier: Apache-2.0
// The subscribers that have mappings, by their prefix; and how many of them lie in one /64, so that a host
// that invents addresses is bounded when a subscriber is smaller than that.
#pragma once

#include <memory_resource>

#include "common/net/keyed_hash.hpp"
#include "nat64-svc/core/tables/slab.hpp"
#include "nat64-svc/core/tables/subscriber.hpp"

namespace isthmus::nat64 {

class SubscriberTable {
 public:
  SubscriberTable(std::uint32_t capacity, HashKey key, std::pmr::memory_resource* memory);

  [[nodiscard]] std::uint32_t find(const Ipv6Address& prefix) const;
  // Whether add() would have room.
  [[nodiscard]] bool has_room(const Ipv6Address& prefix, std::uint32_t most_per_64) const;
  // kNone when the table is full or the prefix's /64 has `most_per_64`. The prefix is not in it yet.
  [[nodiscard]] std::uint32_t add(const Ipv6Address& prefix, std::uint32_t most_per_64);
  void remove(std::uint32_t number);

  [[nodiscard]] Subscriber& operator[](std::uint32_t number) { return subscribers_[number]; }
  [[nodiscard]] const Subscriber& operator[](std::uint32_t number) const { return subscribers_[number]; }
  [[nodiscard]] std::uint32_t used() const { return subscribers_.used(); }

 private:
  struct Slash64 {
    std::uint64_t high = 0;
    std::uint32_t subscribers = 0;
    std::uint32_t next = kNone;
    bool is_live = false;

    [[nodiscard]] bool live() const { return is_live; }
    void set_live(bool on) { is_live = on; }
    [[nodiscard]] std::uint32_t next_free() const { return next; }
    void set_next_free(std::uint32_t n) { next = n; }
  };

  [[nodiscard]] std::uint64_t hash(const Ipv6Address& prefix) const {
    return keyed_hash(key_, prefix.high(), prefix.low());
  }
  [[nodiscard]] std::uint64_t hash64(std::uint64_t high) const { return keyed_hash(key_, high, 0); }
  [[nodiscard]] std::uint32_t find_slash64(std::uint64_t high) const;
  [[nodiscard]] bool join_slash64(std::uint64_t high, std::uint32_t most);
  void leave_slash64(std::uint64_t high);

  HashKey key_;
  Slab<Subscriber> subscribers_;
  FlatIndex by_prefix_;
  Slab<Slash64> slash64s_;
  FlatIndex by_slash64_;
};

}  // namespace isthmus::nat64
