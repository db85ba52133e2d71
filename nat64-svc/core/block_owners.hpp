// SPDX-License-Identifier: Apache-2.0
// Which worker has which block of ports of a public address: the one piece of memory that the workers of a
// node share. A worker claims a block when a subscriber needs one and gives it back when its last port is
// free, so no worker runs out of ports while any block is free; and whoever gets an IPv4 packet sees here
// whose it is. One atomic word a block, no locks; written once per block taken or freed, never per packet.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <tuple>
#include <vector>

#include "common/config/policy.hpp"
#include "common/net/ipv4_address.hpp"

namespace isthmus::nat64 {

class BlockOwners {
 public:
  static constexpr std::uint16_t kNobody = 0xffff;

  // `block_size` is a power of two; blocks are numbered by port / block_size. Only those with a port in
  // `ports` can be claimed.
  BlockOwners(std::uint32_t block_size, PortRange ports)
      : block_size_(block_size),
        first_(ports.first / block_size),
        count_(ports.last / block_size - first_ + 1),
        owners_(65536 / block_size),
        free_(count_) {
    for (auto& o : owners_) o.store(kNobody, std::memory_order_relaxed);
  }

  // A free block, the search starting at a place that `random` chooses; nothing: none is free.
  [[nodiscard]] std::optional<std::uint32_t> claim(std::uint16_t worker, std::uint64_t random) {
    if (free_blocks() == 0) return std::nullopt;
    const auto start = static_cast<std::uint32_t>(random % count_);
    for (std::uint32_t i = 0; i < count_; ++i) {
      const std::uint32_t block = first_ + (start + i) % count_;
      std::uint16_t nobody = kNobody;
      if (owners_[block].load(std::memory_order_relaxed) != kNobody ||
          !owners_[block].compare_exchange_strong(nobody, worker, std::memory_order_acq_rel))
        continue;
      free_.fetch_sub(1, std::memory_order_relaxed);
      return block;
    }
    return std::nullopt;
  }
  // By its owner, who has forgotten all mappings in it.
  void give_back(std::uint32_t block) {
    owners_[block].store(kNobody, std::memory_order_release);
    free_.fetch_add(1, std::memory_order_relaxed);
  }

  [[nodiscard]] std::uint16_t owner(std::uint16_t port) const {
    return owners_[port / block_size_].load(std::memory_order_acquire);
  }
  // May be behind by what other workers do at this moment.
  [[nodiscard]] std::uint32_t free_blocks() const { return free_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint32_t blocks() const { return count_; }
  [[nodiscard]] std::uint32_t block_size() const { return block_size_; }

 private:
  std::uint32_t block_size_;
  std::uint32_t first_;
  std::uint32_t count_;
  std::vector<std::atomic<std::uint16_t>> owners_;
  std::atomic<std::uint32_t> free_;
};

// The owners of every address that the node ever had, by size of its blocks and range of its ports: a policy
// comes and goes, also one that is built and never runs, and what is mapped stays. Blocks of another size or
// range have nothing in common with the old ones: all sessions end (WorkerState). Used by the one thread that
// makes runtimes.
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
