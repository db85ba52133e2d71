// SPDX-License-Identifier: Apache-2.0
// Which worker has which block of ports of a public address: the one piece of memory that the workers of a
// node share. A worker claims a block when a subscriber needs one and gives it back when its last port is
// free, so no worker runs out of ports while any block is free; and whoever gets an IPv4 packet sees here
// whose it is. A few atomic words a block, no locks; written once per block taken or freed, never per packet.
//
// A freed block rests for two minutes while there are others (RFC 6888 REQ-8: what still comes for the
// subscriber before should not reach the next one).
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <tuple>
#include <vector>

#include "common/base/clock.hpp"
#include "common/config/policy.hpp"
#include "common/net/ipv4_address.hpp"

namespace isthmus::nat64 {

class BlockOwners {
 public:
  static constexpr std::uint16_t kNobody = 0xffff;
  static constexpr std::chrono::seconds kRest{120};

  // `block_size` is a power of two; blocks are numbered by port / block_size. Only those with a port in
  // `ports` can be claimed.
  BlockOwners(std::uint32_t block_size, PortRange ports)
      : block_size_(block_size),
        first_(ports.first / block_size),
        count_(ports.last / block_size - first_ + 1),
        owners_(65536 / block_size),
        rested_at_(65536 / block_size),
        free_(count_) {
    for (auto& o : owners_) o.store(kNobody, std::memory_order_relaxed);
  }

  // A free block that has rested, the search starting at a place that `random` chooses; nothing: there is
  // none. A search in vain is not repeated before the first of the resting ones is due.
  [[nodiscard]] std::optional<std::uint32_t> claim(std::uint16_t worker, std::uint64_t random,
                                                   TimePoint now) {
    const auto time = seconds(now);
    if (free_blocks() == 0 || time < none_before_.load(std::memory_order_relaxed)) return std::nullopt;
    auto due = rest_of(now);  // of the first resting block
    const auto start = static_cast<std::uint32_t>(random % count_);
    for (std::uint32_t i = 0; i < count_; ++i) {
      const std::uint32_t block = first_ + (start + i) % count_;
      if (!is_free(block)) continue;
      const auto rested_at = rested_at_[block].load(std::memory_order_relaxed);
      if (rested_at > time)
        due = std::min(due, rested_at);
      else if (take(block, worker))
        return block;
    }
    none_before_.store(due, std::memory_order_relaxed);
    return std::nullopt;
  }
  // For when nothing has rested: the block that was freed longest ago. Looks at all of them.
  [[nodiscard]] std::optional<std::uint32_t> claim_oldest(std::uint16_t worker) {
    while (free_blocks() != 0) {  // once more only when another worker was faster
      std::optional<std::uint32_t> oldest;
      for (std::uint32_t block = first_; block < first_ + count_; ++block) {
        if (is_free(block) && (!oldest || rested_at_[block].load(std::memory_order_relaxed) <
                                              rested_at_[*oldest].load(std::memory_order_relaxed)))
          oldest = block;
      }
      if (!oldest || take(*oldest, worker)) return oldest;
    }
    return std::nullopt;
  }
  [[nodiscard]] bool has_rested(std::uint32_t block, TimePoint now) const {
    return rested_at_[block].load(std::memory_order_relaxed) <= seconds(now);
  }
  // By its owner, who has forgotten all mappings in it.
  void give_back(std::uint32_t block, TimePoint now) {
    const auto rested_at = rest_of(now);
    rested_at_[block].store(rested_at, std::memory_order_relaxed);
    owners_[block].store(kNobody, std::memory_order_release);
    if (free_.fetch_add(1, std::memory_order_relaxed) == 0)
      none_before_.store(rested_at, std::memory_order_relaxed);
  }
  // By its owner, who had no mapping in it: it need not rest for that.
  void give_back_unused(std::uint32_t block) {
    owners_[block].store(kNobody, std::memory_order_release);
    free_.fetch_add(1, std::memory_order_relaxed);
    none_before_.store(0, std::memory_order_relaxed);
  }

  [[nodiscard]] std::uint16_t owner(std::uint16_t port) const {
    return owners_[port / block_size_].load(std::memory_order_acquire);
  }
  // May be behind by what other workers do at this moment.
  [[nodiscard]] std::uint32_t free_blocks() const { return free_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint32_t blocks() const { return count_; }
  [[nodiscard]] std::uint32_t block_size() const { return block_size_; }

 private:
  // Of the clock, which begins with the machine: 32 bits do. 0 is before every rest.
  [[nodiscard]] static std::uint32_t seconds(TimePoint at) {
    return static_cast<std::uint32_t>(
        std::chrono::floor<std::chrono::seconds>(at.time_since_epoch()).count());
  }
  [[nodiscard]] static std::uint32_t rest_of(TimePoint freed) { return seconds(freed + kRest) + 1; }
  [[nodiscard]] bool is_free(std::uint32_t block) const {
    return owners_[block].load(std::memory_order_acquire) == kNobody;
  }
  [[nodiscard]] bool take(std::uint32_t block, std::uint16_t worker) {
    std::uint16_t nobody = kNobody;
    if (!owners_[block].compare_exchange_strong(nobody, worker, std::memory_order_acq_rel)) return false;
    free_.fetch_sub(1, std::memory_order_relaxed);
    return true;
  }

  std::uint32_t block_size_;
  std::uint32_t first_;
  std::uint32_t count_;
  std::vector<std::atomic<std::uint16_t>> owners_;
  std::vector<std::atomic<std::uint32_t>> rested_at_;  // seconds
  std::atomic<std::uint32_t> none_before_{0};  // nothing has rested before then. Too early: it is looked
                                               // for in vain. Too late, after give_back_unused() during a
                                               // search: claim_oldest() finds that block
  std::atomic<std::uint32_t> free_;
};

// The owners of every address that the node ever had, by size of its blocks and range of its ports: a policy
// comes and goes, also one that is built and never runs, and what is mapped stays. Blocks of another size or
// range have nothing in common with the old ones: what is mapped there ends (WorkerState). Used by the one
// thread that makes runtimes.
class BlockShare {
 public:
  [[nodiscard]] std::shared_ptr<BlockOwners> of(Ipv4Address address, std::uint32_t block_size,
                                                PortRange ports) {
    auto& owners = owners_[{address, block_size, ports.first, ports.last}];
    if (!owners) owners = std::make_shared<BlockOwners>(block_size, ports);
    return owners;
  }

 private:
  std::map<std::tuple<Ipv4Address, std::uint32_t, std::uint16_t, std::uint16_t>, std::shared_ptr<BlockOwners>>
      owners_;
};

}  // namespace isthmus::nat64
