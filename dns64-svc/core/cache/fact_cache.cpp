// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/core/cache/fact_cache.hpp"

#include <sched.h>

#include <algorithm>
#include <span>

namespace isthmus::dns64 {
namespace {

class SpinLock {
 public:
  void lock() {
    while (flag_.test_and_set(std::memory_order_acquire)) {
      // Who holds it is done in a moment, unless it lost its CPU to us: then it needs that back.
      for (int i = 0; flag_.test(std::memory_order_relaxed); ++i)
        i < kSpins ? __builtin_ia32_pause() : static_cast<void>(sched_yield());
    }
  }
  void unlock() { flag_.clear(std::memory_order_release); }

 private:
  static constexpr int kSpins = 256;
  std::atomic_flag flag_ = ATOMIC_FLAG_INIT;
};

class Guard {
 public:
  explicit Guard(SpinLock& lock) : lock_(lock) { lock_.lock(); }
  ~Guard() { lock_.unlock(); }
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

 private:
  SpinLock& lock_;
};

// malloc's own cost per block on glibc, on average: header and rounding.
constexpr std::size_t kAllocationOverhead = 16;
constexpr std::size_t kFirstSlots = 16;
constexpr std::size_t kCacheLine = 64;

std::size_t cost(const Fact& fact) {
  return fact.memory() + kAllocationOverhead;
}

// RFC 8767: what may be handed out after its TTL. Neither the memory of a failure nor data that failed
// validation ever is.
bool may_serve_stale(const Fact& fact) {
  return !fact.is_failure() && fact.security() != Security::kBogus;
}

// Seconds after it was received.
std::uint32_t end_of_service(const Fact& fact, std::uint32_t stale_seconds) {
  return fact.fields().ttl + (may_serve_stale(fact) ? stale_seconds : 0);
}

// A failure tells least, data that fails validation may still go to clients that check for themselves.
unsigned worth(const Fact& fact) {
  return fact.is_failure() ? 0 : fact.security() == Security::kBogus ? 1 : 2;
}

}  // namespace

// Open addressing with linear probing; deletion shifts back, so there are no tombstones.
struct alignas(64) FactCache::Shard {
  SpinLock lock;
  std::vector<Slot> slots;
  std::size_t entries = 0;
  std::size_t bytes = 0;  // of facts
  std::size_t hand = 0;   // of the clock
  Stats stats;
  // Where `slots` lies and its mask, for those who fetch without the lock: at worst they fetch in vain.
  std::atomic<std::uintptr_t> place{0};
  std::atomic<std::size_t> place_mask{0};

  void note_place() {
    place_mask.store(mask(), std::memory_order_relaxed);
    place.store(reinterpret_cast<std::uintptr_t>(slots.data()), std::memory_order_relaxed);
  }
  [[nodiscard]] std::size_t mask() const { return slots.size() - 1; }
  [[nodiscard]] std::size_t total() const { return bytes + slots.size() * sizeof(Slot); }

  // Index of the slot with the key, or of the empty slot where it would go.
  [[nodiscard]] std::size_t find(std::uint32_t hash, NameView name, std::uint16_t type,
                                 std::uint16_t group) const {
    std::size_t i = hash & mask();
    for (; slots[i].fact != nullptr; i = (i + 1) & mask()) {
      const Fact* fact = slots[i].fact;
      if (slots[i].hash == hash && fact->type() == type && fact->fields().group == group &&
          fact->name().size() == name.size() &&
          std::memcmp(fact->name().data(), name.data(), name.size()) == 0)
        break;
    }
    return i;
  }

  // Takes the fact out of slot `i` and closes the gap.
  [[nodiscard]] FactPtr take(std::size_t i) {
    FactPtr gone{slots[i].fact};
    bytes -= cost(*gone);
    --entries;
    for (std::size_t next = (i + 1) & mask(); slots[next].fact != nullptr; next = (next + 1) & mask()) {
      const std::size_t home = slots[next].hash & mask();
      if (((next - home) & mask()) < ((next - i) & mask())) continue;
      slots[i] = slots[next];
      i = next;
    }
    slots[i] = {};
    return gone;
  }

  void grow() {
    if (slots.empty()) {
      slots.resize(kFirstSlots);
      note_place();
      return;
    }
    if ((entries + 1) * 4 > slots.size() * 3) rehash(slots.size() * 2);
  }

  void rehash(std::size_t size) {
    std::vector<Slot> old(size);
    old.swap(slots);
    for (const auto& slot : old) {
      if (slot.fact == nullptr) continue;
      std::size_t i = slot.hash & mask();
      while (slots[i].fact != nullptr) i = (i + 1) & mask();
      slots[i] = slot;
    }
    note_place();
    hand = 0;
  }

  // Evicts until all fits, at most as many facts at a time as `gone` takes. True: there are more.
  [[nodiscard]] bool make_room(std::size_t limit, std::uint32_t now, std::uint32_t stale_seconds,
                               std::span<FactPtr> gone) {
    std::size_t count = 0;
    // Two turns spare nothing twice.
    for (std::size_t steps = 2 * slots.size(); total() > limit && entries > 1 && steps > 0; --steps) {
      if (count == gone.size()) return true;
      gone[count] = step_clock(now, stale_seconds);
      if (gone[count]) ++count;
      // A table that was made for more counts, too: after a limit is lowered it could be all there is.
      if (entries * 8 < slots.size() && slots.size() > kFirstSlots) rehash(slots.size() / 2);
    }
    return false;
  }

  // One step of the clock: evicts the fact under the hand unless it answered lately. Facts past their stale
  // time go at once.
  [[nodiscard]] FactPtr step_clock(std::uint32_t now, std::uint32_t stale_seconds) {
    hand = (hand + 1) & mask();
    const Fact* fact = slots[hand].fact;
    if (fact == nullptr) return {};
    const bool dead = fact->age(now) >= end_of_service(*fact, stale_seconds);
    if (!dead && fact->take_recent()) return {};
    dead ? ++stats.expired : ++stats.evictions;
    auto gone = take(hand);
    hand = (hand - 1) & mask();  // something else may have moved in
    return gone;
  }
};

FactCache::FactCache(const Limits& limits, const HashKey& key, unsigned shard_bits)
    : key_(key), shard_bits_(shard_bits), shards_(std::make_unique<Shard[]>(std::size_t{1} << shard_bits)) {
  set_limits(limits);
}

FactCache::~FactCache() {
  flush_all();
}

void FactCache::set_limits(const Limits& limits) {
  max_bytes_per_shard_.store(limits.max_bytes >> shard_bits_, std::memory_order_relaxed);
  stale_seconds_.store(limits.stale_seconds, std::memory_order_relaxed);
}

std::uint64_t FactCache::key_hash(std::uint64_t name_hash, std::uint16_t type, std::uint16_t group) const {
  return mix(name_hash ^ key_.k1, (std::uint64_t{type} << 16 | group) ^ key_.k0);
}

FactCache::Shard& FactCache::shard_of(std::uint64_t hash) const {
  return shards_[shard_bits_ == 0 ? 0 : hash >> (64 - shard_bits_)];
}

Lookup FactCache::lookup(std::uint64_t name_hash, NameView name, std::uint16_t type, std::uint16_t group,
                         TimePoint now) const {
  const auto hash = key_hash(name_hash, type, group);
  auto& shard = shard_of(hash);
  Lookup found;
  {
    const Guard guard{shard.lock};
    if (shard.slots.empty()) return found;
    const Fact* fact = shard.slots[shard.find(static_cast<std::uint32_t>(hash), name, type, group)].fact;
    if (fact == nullptr) return found;
    found.fact = FactPtr::share(fact);
  }
  const auto seconds = to_seconds(now);
  if (found.fact->is_fresh(seconds)) {
    found.freshness = Freshness::kFresh;
    found.fact->touch();
  } else if (found.fact->age(seconds) <
             end_of_service(*found.fact, stale_seconds_.load(std::memory_order_relaxed))) {
    found.freshness = Freshness::kStale;
  } else {
    found.fact = {};
  }
  return found;
}

std::uint64_t FactCache::expect(NameView name, std::uint16_t type, std::uint16_t group) const {
  const auto hash = key_hash(name_hash(name), type, group);
  const auto& shard = shard_of(hash);
  const auto slot = static_cast<std::uint32_t>(hash) & shard.place_mask.load(std::memory_order_relaxed);
  __builtin_prefetch(  // NOLINTNEXTLINE(performance-no-int-to-ptr): only fetched, never read
      reinterpret_cast<const void*>(shard.place.load(std::memory_order_relaxed) + slot * sizeof(Slot)));
  return hash;
}

void FactCache::expect_fact(std::uint64_t key) const {
  const auto hash = static_cast<std::uint32_t>(key);
  auto& shard = shard_of(key);
  const Guard guard{shard.lock};
  if (shard.slots.empty()) return;
  for (std::size_t i = hash & shard.mask(); shard.slots[i].fact != nullptr; i = (i + 1) & shard.mask()) {
    if (shard.slots[i].hash != hash) continue;
    const auto* bytes = reinterpret_cast<const char*>(shard.slots[i].fact);
    __builtin_prefetch(bytes, 1);  // its reference count will be written
    __builtin_prefetch(bytes + kCacheLine);
    __builtin_prefetch(bytes + 2 * kCacheLine);
    return;
  }
}

void FactCache::insert(FactPtr fact, TimePoint now) {
  if (!fact) return;
  const auto hash = key_hash(name_hash(fact->name()), fact->type(), fact->fields().group);
  auto& shard = shard_of(hash);
  const auto seconds = to_seconds(now);
  const auto limit = max_bytes_per_shard_.load(std::memory_order_relaxed);
  const auto stale = stale_seconds_.load(std::memory_order_relaxed);
  FactPtr replaced;  // as all that leave: freed after the lock
  bool full = false;
  {
    const Guard guard{shard.lock};
    shard.grow();
    auto at = shard.find(static_cast<std::uint32_t>(hash), fact->name(), fact->type(), fact->fields().group);
    if (const Fact* old = shard.slots[at].fact; old != nullptr) {
      // RFC 8767 §4: a failed refresh does not drive out an answer that may still serve. One that fails
      // validation is such a failure: what was good before stays good for its TTL, and a zone whose parent or
      // keys cannot be reached is as dead as one whose servers are.
      if (worth(*fact) < worth(*old) && old->age(seconds) < end_of_service(*old, stale)) return;
      replaced = shard.take(at);
      at = shard.find(static_cast<std::uint32_t>(hash), fact->name(), fact->type(), fact->fields().group);
    }
    shard.bytes += cost(*fact);
    ++shard.entries;
    ++shard.stats.inserts;
    shard.slots[at] = {fact.release(), static_cast<std::uint32_t>(hash)};
    full = shard.total() > limit;
  }
  while (full) {
    std::array<FactPtr, 64> gone;
    const Guard guard{shard.lock};
    full = shard.make_room(limit, seconds, stale, gone);
  }
}

template <class Match>
std::size_t FactCache::flush_if(Match match) {
  std::size_t count = 0;
  for (std::size_t s = 0; s < std::size_t{1} << shard_bits_; ++s) {
    auto& shard = shards_[s];
    std::vector<FactPtr> gone;  // freed after the lock
    const Guard guard{shard.lock};
    for (std::size_t i = 0; i < shard.slots.size();) {
      if (shard.slots[i].fact != nullptr && match(*shard.slots[i].fact)) {
        gone.push_back(shard.take(i));
      } else {
        ++i;
      }
    }
    shard.stats.flushed += gone.size();
    count += gone.size();
  }
  return count;
}

std::size_t FactCache::flush(NameView name, std::uint16_t type) {
  return flush_if([&](const Fact& fact) {
    return (type == rr::kAny || fact.type() == type) &&
           speaks_of(fact, [&](NameView held) { return equal_names(held, name); });
  });
}

std::size_t FactCache::flush_subtree(NameView apex) {
  return flush_if([&](const Fact& fact) {
    return speaks_of(fact, [&](NameView held) { return is_at_or_below(held, apex); });
  });
}

std::size_t FactCache::flush_all() {
  return flush_if([](const Fact&) { return true; });
}

void FactCache::for_each(const std::function<bool(const Fact&)>& visit) const {
  for (std::size_t s = 0; s < std::size_t{1} << shard_bits_; ++s) {
    const Guard guard{shards_[s].lock};
    for (const auto& slot : shards_[s].slots)
      if (slot.fact != nullptr && !visit(*slot.fact)) return;
  }
}

FactCache::Stats FactCache::stats() const {
  Stats sum;
  for (std::size_t s = 0; s < std::size_t{1} << shard_bits_; ++s) {
    const Guard guard{shards_[s].lock};
    const auto& shard = shards_[s];
    sum.entries += shard.entries;
    sum.bytes += shard.total();
    sum.inserts += shard.stats.inserts;
    sum.evictions += shard.stats.evictions;
    sum.expired += shard.stats.expired;
    sum.flushed += shard.stats.flushed;
  }
  return sum;
}

}  // namespace isthmus::dns64
