// SPDX-License-Identifier: Apache-2.0
// RFC 6146 §3.4: later fragments wait until the first one tells the ports; afterwards they pass at once. The
// first fragment of an echo waits for the last one, that of UDP without a checksum for all. Bounded in
// number, size and time. Where there is no room the oldest makes it: a flood shortens how long a packet is
// remembered, and stops no other.
#pragma once

#include <span>
#include <utility>
#include <vector>

#include "common/base/clock.hpp"
#include "common/net/ipv6_address.hpp"
#include "common/net/keyed_hash.hpp"
#include "nat64-svc/core/fragment_note.hpp"
#include "nat64-svc/core/tables/flat_index.hpp"

namespace isthmus::nat64 {

// RFC 791, RFC 8200: what fragments of one packet have in common. IPv4 addresses sit in the low bits.
struct FragmentKey {
  Ipv6Address source;
  Ipv6Address destination;
  std::uint32_t id = 0;
  std::uint8_t protocol = 0;
  bool operator==(const FragmentKey&) const = default;
};

class FragmentTable {
 public:
  // At most `capacity` fragments held, each of at most kMaxHeld bytes. Packets remembered: kNotesPerHeld
  // times as many, since each packet is, whose first fragment passed, until its time is over.
  FragmentTable(std::uint32_t capacity, HashKey key);
  static constexpr std::size_t kMaxHeld = 3520;  // a page's worth: the largest MTU that is served fits
  static constexpr std::uint32_t kNotesPerHeld = 16;

  [[nodiscard]] FragmentNote note(const FragmentKey& key) const;
  // Remembers the packet, if it is new, until `deadline` (for all equally far) or until there is no room and
  // it is the oldest: lost(protocol) is then called for each fragment that waits. Before all that follows.
  template <class Lost>
  void enter(const FragmentKey& key, TimePoint deadline, Lost&& lost);
  // Would hold() take it?
  [[nodiscard]] bool may_hold(const FragmentKey& key, bool first, std::size_t size) const;
  // Holds it. While `most` are held, the packet whose fragment has waited longest is given up; lost() as
  // above. False: too large, the second first fragment of its packet, or it is this packet that would have to
  // go.
  template <class Lost>
  [[nodiscard]] bool hold(const FragmentKey& key, bool first, std::span<const std::uint8_t> fragment,
                          std::uint32_t most, Lost&& lost);
  // Notes the ports (those of `note`) and gives release(bytes) each fragment that waited for them. No
  // release() may hold() here: what is let go is still among the held while it runs.
  template <class Release>
  void learn_ports(const FragmentKey& key, const FragmentNote& note, Release&& release);
  void forget_ports(const FragmentKey& key);
  // Notes the length and gives release(bytes) the first fragment, if it waited for it.
  template <class Release>
  void learn_length(const FragmentKey& key, std::uint16_t length, Release&& release);
  // The first fragment of its packet, if it waits here; else empty.
  [[nodiscard]] std::span<std::uint8_t> held_first(const FragmentKey& key);
  // Gives visit(bytes) each fragment that waits.
  template <class Visit>
  void visit_held(const FragmentKey& key, Visit&& visit) const;
  // Gives release(bytes) the first fragment, if it waits here.
  template <class Release>
  void release_first(const FragmentKey& key, Release&& release);
  // Gives lost(protocol) each fragment that waited in vain.
  template <class Lost>
  void expire(TimePoint now, Lost&& lost);

  [[nodiscard]] std::uint32_t held() const { return held_; }
  [[nodiscard]] std::uint32_t capacity() const { return static_cast<std::uint32_t>(helds_.size()); }

 private:
  struct Entry {
    FragmentKey key;
    TimePoint deadline;
    FragmentNote note;
    std::uint32_t first_held = kNone;
  };
  struct Held {
    std::uint32_t entry = kNone;
    std::uint32_t next = kNone;  // of the same packet; of a free one: the next free one
    std::uint32_t older = kNone;
    std::uint32_t younger = kNone;
    bool first = false;  // fragment of its packet
    std::uint16_t length = 0;
  };
  [[nodiscard]] std::uint64_t hash(const FragmentKey& key) const;
  [[nodiscard]] std::uint32_t find(const FragmentKey& key) const;
  [[nodiscard]] std::span<std::uint8_t> bytes(std::uint32_t held) {
    return std::span{bytes_}.subspan(held * kMaxHeld, helds_[held].length);
  }
  [[nodiscard]] std::span<const std::uint8_t> bytes(std::uint32_t held) const {
    return std::span{bytes_}.subspan(held * kMaxHeld, helds_[held].length);
  }
  [[nodiscard]] std::uint32_t find_held_first(const FragmentKey& key) const;
  void put(std::uint32_t entry, bool first, std::span<const std::uint8_t> fragment);
  void free_held(std::uint32_t held);
  template <class Lost>
  void give_up(Entry& entry, Lost&& lost);
  void forget_oldest();

  HashKey key_;
  std::vector<Entry> entries_;  // a ring: used_ entries from first_ on, oldest first
  FlatIndex index_;
  std::uint32_t first_ = 0;
  std::uint32_t used_ = 0;
  std::vector<Held> helds_;
  std::vector<std::uint8_t> bytes_;
  std::uint32_t free_ = kNone;
  std::uint32_t oldest_ = kNone;    // of helds_
  std::uint32_t youngest_ = kNone;  // likewise
  std::uint32_t held_ = 0;
};

template <class Lost>
void FragmentTable::give_up(Entry& entry, Lost&& lost) {
  auto held = std::exchange(entry.first_held, kNone);
  while (held != kNone) {
    const auto next = helds_[held].next;
    free_held(held);
    lost(entry.key.protocol);
    held = next;
  }
}

template <class Lost>
void FragmentTable::enter(const FragmentKey& key, TimePoint deadline, Lost&& lost) {
  if (find(key) != kNone) return;
  if (used_ == entries_.size()) {
    give_up(entries_[first_], lost);
    forget_oldest();
  }
  const auto number = static_cast<std::uint32_t>((first_ + used_) % entries_.size());
  entries_[number] = {key, deadline, {}, kNone};
  index_.insert(hash(key), number);
  ++used_;
}

template <class Lost>
bool FragmentTable::hold(const FragmentKey& key, bool first, std::span<const std::uint8_t> fragment,
                         std::uint32_t most, Lost&& lost) {
  const auto number = find(key);
  if (number == kNone || !may_hold(key, first, fragment.size())) return false;
  while (held_ >= most || free_ == kNone) {
    if (oldest_ == kNone || helds_[oldest_].entry == number) return false;
    give_up(entries_[helds_[oldest_].entry], lost);
  }
  put(number, first, fragment);
  return true;
}

template <class Lost>
void FragmentTable::expire(TimePoint now, Lost&& lost) {
  while (used_ > 0 && entries_[first_].deadline <= now) {
    give_up(entries_[first_], lost);
    forget_oldest();
  }
}

template <class Release>
void FragmentTable::learn_ports(const FragmentKey& key, const FragmentNote& note, Release&& release) {
  const auto number = find(key);
  if (number == kNone) return;
  const auto length = entries_[number].note.length;
  entries_[number].note = note;
  entries_[number].note.length = length;
  // Taken off at once: whatever release() does to this entry, each is let go one time.
  auto held = std::exchange(entries_[number].first_held, kNone);
  while (held != kNone) {
    const auto next = helds_[held].next;
    release(std::span<const std::uint8_t>{bytes(held)});
    free_held(held);
    held = next;
  }
}

template <class Release>
void FragmentTable::learn_length(const FragmentKey& key, std::uint16_t length, Release&& release) {
  const auto number = find(key);
  if (number == kNone) return;
  entries_[number].note.length = length;
  release_first(key, std::forward<Release>(release));
}

template <class Visit>
void FragmentTable::visit_held(const FragmentKey& key, Visit&& visit) const {
  const auto number = find(key);
  if (number == kNone) return;
  for (auto h = entries_[number].first_held; h != kNone; h = helds_[h].next) visit(bytes(h));
}

template <class Release>
void FragmentTable::release_first(const FragmentKey& key, Release&& release) {
  const auto held = find_held_first(key);
  if (held == kNone) return;
  std::uint32_t* link = &entries_[find(key)].first_held;
  while (*link != held) link = &helds_[*link].next;
  *link = helds_[held].next;
  release(std::span<const std::uint8_t>{bytes(held)});
  free_held(held);
}

}  // namespace isthmus::nat64
