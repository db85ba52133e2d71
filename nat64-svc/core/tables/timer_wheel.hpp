// SPDX-License-Identifier: Apache-2.0
// One wheel for all sessions. A packet only writes a timestamp; a session found in a slot that comes due is
// looked at again and, if it has been busy, put further on. Slots are 2^28 ns (268 ms) wide and go 2.4 hours
// ahead; what is due later waits in the last slot and is put on from there.
#pragma once

#include <cstdint>
#include <memory_resource>
#include <vector>

#include "common/base/clock.hpp"
#include "nat64-svc/core/tables/session.hpp"
#include "nat64-svc/core/tables/slab.hpp"

namespace isthmus::nat64 {

class TimerWheel {
 public:
  explicit TimerWheel(std::pmr::memory_resource* memory) : heads_(kSlots, kNone, memory) {}

  void add(Slab<Session>& sessions, std::uint32_t number, TimePoint due) {
    std::uint64_t slot = tick(due) + 1;  // a slot is due once it is over
    if (slot <= cursor_) slot = cursor_ + 1;
    if (slot >= cursor_ + kSlots) slot = cursor_ + kSlots - 1;
    auto& head = heads_[slot % kSlots];
    Session& session = sessions[number];
    session.timer_next = head;
    session.timer_prev = kHeadFlag | static_cast<std::uint32_t>(slot % kSlots);
    if (head != kNone) sessions[head].timer_prev = number;
    head = number;
  }

  void remove(Slab<Session>& sessions, std::uint32_t number) {
    Session& session = sessions[number];
    if (session.timer_next != kNone) sessions[session.timer_next].timer_prev = session.timer_prev;
    if ((session.timer_prev & kHeadFlag) != 0)
      heads_[session.timer_prev & ~kHeadFlag] = session.timer_next;
    else
      sessions[session.timer_prev].timer_next = session.timer_next;
    session.timer_next = session.timer_prev = kNone;
  }

  // The next session whose slot is over, taken off the wheel; kNone when there is none.
  [[nodiscard]] std::uint32_t pop(Slab<Session>& sessions, TimePoint now) {
    const std::uint64_t until = tick(now);
    if (cursor_ == 0 || until > cursor_ + kSlots) {  // first use, or a gap longer than the wheel
      const std::uint64_t start = until > kSlots ? until - kSlots : 0;
      if (cursor_ < start) cursor_ = start;
    }
    while (cursor_ < until || (cursor_ == until && heads_[cursor_ % kSlots] != kNone)) {
      const std::uint32_t number = heads_[cursor_ % kSlots];
      if (number != kNone) {
        remove(sessions, number);
        if (heads_[cursor_ % kSlots] != kNone) __builtin_prefetch(&sessions[heads_[cursor_ % kSlots]]);
        return number;
      }
      ++cursor_;
    }
    return kNone;
  }

 private:
  static constexpr std::uint64_t kSlots = 32768;
  static constexpr std::uint32_t kHeadFlag = 0x80000000;
  [[nodiscard]] static std::uint64_t tick(TimePoint t) {
    return static_cast<std::uint64_t>(t.time_since_epoch().count()) >> 28;
  }
  std::pmr::vector<std::uint32_t> heads_;
  std::uint64_t cursor_ = 0;
};

}  // namespace isthmus::nat64
