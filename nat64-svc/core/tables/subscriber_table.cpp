// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/core/tables/subscriber_table.hpp"

namespace isthmus::nat64 {

SubscriberTable::SubscriberTable(std::uint32_t capacity, HashKey key, std::pmr::memory_resource* memory)
    : key_(key),
      subscribers_(capacity, memory),
      by_prefix_(capacity, memory),
      slash64s_(capacity, memory),
      by_slash64_(capacity, memory) {}

std::uint32_t SubscriberTable::find(const Ipv6Address& prefix) const {
  return by_prefix_.find(hash(prefix), [&](std::uint32_t n) { return subscribers_[n].prefix == prefix; });
}

bool SubscriberTable::has_room(const Ipv6Address& prefix, std::uint32_t most_per_64) const {
  if (subscribers_.used() >= subscribers_.capacity()) return false;
  const auto slash64 = find_slash64(prefix.high());
  return slash64 == kNone || slash64s_[slash64].subscribers < most_per_64;
}

std::uint32_t SubscriberTable::add(const Ipv6Address& prefix, std::uint32_t most_per_64) {
  const auto number = subscribers_.take();
  if (number == kNone) return kNone;
  if (!join_slash64(prefix.high(), most_per_64)) {
    subscribers_.give_back(number);
    return kNone;
  }
  subscribers_[number].prefix = prefix;
  by_prefix_.insert(hash(prefix), number);
  return number;
}

void SubscriberTable::remove(std::uint32_t number) {
  const auto hash_of = [&](std::uint32_t n) { return hash(subscribers_[n].prefix); };
  by_prefix_.erase(hash_of(number), number, hash_of);
  leave_slash64(subscribers_[number].prefix.high());
  subscribers_.give_back(number);
}

std::uint32_t SubscriberTable::find_slash64(std::uint64_t high) const {
  return by_slash64_.find(hash64(high), [&](std::uint32_t n) { return slash64s_[n].high == high; });
}

bool SubscriberTable::join_slash64(std::uint64_t high, std::uint32_t most) {
  auto number = find_slash64(high);
  if (number == kNone) {
    number = slash64s_.take();
    if (number == kNone) return false;  // as many as subscribers: cannot run out before them
    slash64s_[number].high = high;
    by_slash64_.insert(hash64(high), number);
  }
  if (slash64s_[number].subscribers >= most) return false;
  ++slash64s_[number].subscribers;
  return true;
}

void SubscriberTable::leave_slash64(std::uint64_t high) {
  const auto number = find_slash64(high);
  if (number == kNone || --slash64s_[number].subscribers != 0) return;
  const auto hash_of = [&](std::uint32_t n) { return hash64(slash64s_[n].high); };
  by_slash64_.erase(hash_of(number), number, hash_of);
  slash64s_.give_back(number);
}

}  // namespace isthmus::nat64
