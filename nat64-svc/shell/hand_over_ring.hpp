// SPDX-License-Identifier: Apache-2.0
// Packets from one worker to another: a ring with one writer and one reader. The packet is copied into the
// ring, so each frame stays with the worker whose memory it is in; what finds the ring full is dropped by the
// sender, who counts it.
//
// The writer stages packets and shows a whole burst at once by publish(). The orders are sequentially
// consistent because a reader that goes to sleep and a writer that wakes it must see each other: see
// Worker::sleep().
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "nat64-svc/core/verdict.hpp"

namespace isthmus::nat64 {

class HandOverRing {
 public:
  // `slots` is a power of two; packets longer than `slot_size` do not fit.
  HandOverRing(std::uint32_t slots, std::uint32_t slot_size)
      : mask_(slots - 1), slot_size_(slot_size), heads_(slots), bytes_(std::size_t{slots} * slot_size) {}

  // Writer: false when the ring is full or the packet too long.
  [[nodiscard]] bool stage(Side side, const FragmentNote& note, std::span<const std::uint8_t> packet) {
    if (packet.size() > slot_size_) return false;
    if (write_ - read_seen_ > mask_) {
      read_seen_ = read_.load(std::memory_order_acquire);
      if (write_ - read_seen_ > mask_) return false;
    }
    const auto slot = static_cast<std::size_t>(write_ & mask_);
    heads_[slot] = {side, note, static_cast<std::uint32_t>(packet.size())};
    std::memcpy(bytes_.data() + slot * slot_size_, packet.data(), packet.size());
    ++write_;
    return true;
  }
  // Writer: shows what was staged. True when there was something.
  bool publish() {
    if (published_.load(std::memory_order_relaxed) == write_) return false;
    published_.store(write_, std::memory_order_seq_cst);
    return true;
  }

  // Reader: calls take(Side, note, span) for up to `most` packets; returns how many. Spans are valid during
  // the call.
  template <class Take>
  std::size_t drain(std::size_t most, Take&& take) {
    const auto read = read_.load(std::memory_order_relaxed);
    const auto waiting = published_.load(std::memory_order_acquire) - read;
    const auto n = std::min<std::uint64_t>(waiting, most);
    for (std::uint64_t i = 0; i < n; ++i) {
      const auto slot = static_cast<std::size_t>((read + i) & mask_);
      take(heads_[slot].side, heads_[slot].note,
           std::span<const std::uint8_t>(bytes_.data() + slot * slot_size_, heads_[slot].length));
    }
    if (n > 0) read_.store(read + n, std::memory_order_release);
    return static_cast<std::size_t>(n);
  }
  // Reader.
  [[nodiscard]] bool empty() const {
    return published_.load(std::memory_order_seq_cst) == read_.load(std::memory_order_relaxed);
  }

 private:
  struct Head {
    Side side = Side::kV6;
    FragmentNote note;
    std::uint32_t length = 0;
  };
  const std::uint64_t mask_;
  const std::uint32_t slot_size_;
  std::vector<Head> heads_;
  std::vector<std::uint8_t> bytes_;
  alignas(64) std::atomic<std::uint64_t> published_{0};
  std::uint64_t write_ = 0;      // the writer's
  std::uint64_t read_seen_ = 0;  // the writer's
  alignas(64) std::atomic<std::uint64_t> read_{0};
};

}  // namespace isthmus::nat64
