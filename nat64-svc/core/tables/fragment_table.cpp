// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/core/tables/fragment_table.hpp"

#include <algorithm>

namespace isthmus::nat64 {

FragmentTable::FragmentTable(std::uint32_t capacity, HashKey key)
    : key_(key),
      entries_(std::size_t{capacity} * kNotesPerHeld),
      index_(capacity * kNotesPerHeld, std::pmr::new_delete_resource()),
      helds_(capacity),
      bytes_(capacity * kMaxHeld) {
  for (std::uint32_t i = capacity; i > 0; --i) {
    helds_[i - 1].next = free_;
    free_ = i - 1;
  }
}

std::uint64_t FragmentTable::hash(const FragmentKey& key) const {
  return keyed_hash(key_, mix(key.source.high() ^ key_.k0, key.source.low() ^ key_.k1),
                    mix(key.destination.high() ^ key_.k1, key.destination.low() ^ key_.k0),
                    std::uint64_t{key.id} << 8 | key.protocol);
}

std::uint32_t FragmentTable::find(const FragmentKey& key) const {
  return index_.find(hash(key), [&](std::uint32_t n) { return entries_[n].key == key; });
}

FragmentNote FragmentTable::note(const FragmentKey& key) const {
  const auto number = find(key);
  return number == kNone ? FragmentNote{} : entries_[number].note;
}

// One first fragment a packet: each that is let go lets those behind it go, and a peer must not nest them.
bool FragmentTable::may_hold(const FragmentKey& key, bool first, std::size_t size) const {
  return size <= kMaxHeld && !(first && find_held_first(key) != kNone);
}

std::uint32_t FragmentTable::find_held_first(const FragmentKey& key) const {
  const auto number = find(key);
  auto held = number == kNone ? kNone : entries_[number].first_held;
  while (held != kNone && !helds_[held].first) held = helds_[held].next;
  return held;
}

std::span<std::uint8_t> FragmentTable::held_first(const FragmentKey& key) {
  const auto held = find_held_first(key);
  return held == kNone ? std::span<std::uint8_t>{} : bytes(held);
}

void FragmentTable::put(std::uint32_t entry, bool first, std::span<const std::uint8_t> fragment) {
  const auto held = free_;
  free_ = helds_[held].next;
  helds_[held] = {entry,     entries_[entry].first_held,
                  youngest_, kNone,
                  first,     static_cast<std::uint16_t>(fragment.size())};
  std::ranges::copy(fragment, bytes(held).begin());
  entries_[entry].first_held = held;
  (youngest_ == kNone ? oldest_ : helds_[youngest_].younger) = held;
  youngest_ = held;
  ++held_;
}

void FragmentTable::forget_ports(const FragmentKey& key) {
  if (const auto number = find(key); number != kNone) entries_[number].note.has_ports = false;
}

void FragmentTable::free_held(std::uint32_t held) {
  const Held& h = helds_[held];
  (h.older == kNone ? oldest_ : helds_[h.older].younger) = h.younger;
  (h.younger == kNone ? youngest_ : helds_[h.younger].older) = h.older;
  helds_[held].next = free_;
  free_ = held;
  --held_;
}

void FragmentTable::forget_oldest() {
  index_.erase(hash(entries_[first_].key), first_, [&](std::uint32_t n) { return hash(entries_[n].key); });
  first_ = static_cast<std::uint32_t>((first_ + 1) % entries_.size());
  --used_;
}

}  // namespace isthmus::nat64
