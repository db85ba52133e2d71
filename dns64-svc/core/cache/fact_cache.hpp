// SPDX-License-Identifier: Apache-2.0
// The one cache of facts, shared by the worker threads, bounded in bytes.
//
// Locks: the table is cut into shards by the key's hash, each with a spin lock that is held for one probe and
// one reference count (tens of ns), never while a reply is written or memory is freed in bulk. With a few
// workers and hundreds of shards two threads almost never meet; a reader-writer lock costs two atomic
// operations more and gains nothing at this length.
// Eviction: a clock hand per shard; what answered since the hand last came by is spared once.
// Hash: keyed, so a client cannot aim names at one bucket.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "common/net/keyed_hash.hpp"
#include "dns64-svc/core/fact.hpp"

namespace isthmus::dns64 {

enum class Freshness : std::uint8_t { kMiss, kFresh, kStale };

struct Lookup {
  FactPtr fact;
  Freshness freshness = Freshness::kMiss;
};

class FactCache {
 public:
  struct Limits {
    std::size_t max_bytes = std::size_t{256} << 20;  // of facts and table together
    std::uint32_t stale_seconds = 86400;  // how long after its TTL a fact may still serve (RFC 8767)
  };
  struct Stats {
    std::uint64_t entries = 0;
    std::uint64_t bytes = 0;
    std::uint64_t inserts = 0;
    std::uint64_t evictions = 0;
    std::uint64_t expired = 0;
    std::uint64_t flushed = 0;
  };

  FactCache(const Limits& limits, const HashKey& key, unsigned shard_bits = 8);
  ~FactCache();
  FactCache(const FactCache&) = delete;
  FactCache& operator=(const FactCache&) = delete;

  // Any thread. `name` is in lower case. name_hash(name) may be computed once for several types.
  [[nodiscard]] std::uint64_t name_hash(NameView name) const { return keyed_hash(key_, name); }
  [[nodiscard]] Lookup lookup(std::uint64_t name_hash, NameView name, std::uint16_t type, std::uint16_t group,
                              TimePoint now) const;
  [[nodiscard]] Lookup lookup(NameView name, std::uint16_t type, std::uint16_t group, TimePoint now) const {
    return lookup(name_hash(name), name, type, group, now);
  }
  // For a batch of requests: what lookup() will read is fetched from memory while other requests are worked
  // on. expect() looks at the table and gives the key for expect_fact(), to be called a while later.
  [[nodiscard]] std::uint64_t expect(NameView name, std::uint16_t type, std::uint16_t group) const;
  void expect_fact(std::uint64_t key) const;
  // Replaces what is kept for the same key; but neither a failure nor data that fails validation replaces an
  // answer that may still serve, fresh or stale.
  void insert(FactPtr fact, TimePoint now);

  void set_limits(const Limits& limits);
  // All facts that hold records of the name, in all groups: its own, those whose CNAMEs lead past it, and
  // those that carry its addresses in their additional section (of MX, SRV, HTTPS). Gives how many went.
  std::size_t flush(NameView name, std::uint16_t type = rr::kAny);
  std::size_t flush_subtree(NameView apex);
  std::size_t flush_all();
  // Shows each fact to `visit` (under the shard's lock: be short) until it returns false.
  void for_each(const std::function<bool(const Fact&)>& visit) const;
  [[nodiscard]] Stats stats() const;

 private:
  struct Slot {
    const Fact* fact = nullptr;
    std::uint32_t hash = 0;
  };
  struct Shard;
  [[nodiscard]] std::uint64_t key_hash(std::uint64_t name_hash, std::uint16_t type,
                                       std::uint16_t group) const;
  [[nodiscard]] Shard& shard_of(std::uint64_t hash) const;
  template <class Match>
  std::size_t flush_if(Match match);

  HashKey key_;
  unsigned shard_bits_;
  std::atomic<std::size_t> max_bytes_per_shard_;
  std::atomic<std::uint32_t> stale_seconds_;
  std::unique_ptr<Shard[]> shards_;
};

}  // namespace isthmus::dns64
