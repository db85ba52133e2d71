// SPDX-License-Identifier: Apache-2.0
// Timers of one worker: a hashed timing wheel of millisecond slots. Arming and disarming are a few pointer
// writes; a timer beyond one turn of the wheel (4 s) stays in its slot and is looked at once per turn. Timers
// fire late by at most two ticks, never early, unless very many are due at once: then the loop looks after
// its sockets in between. One thread.
#pragma once

#include <array>
#include <cstdint>

#include "common/base/clock.hpp"

namespace isthmus::dns64 {

// Derive from it and override on_timer(). Destroying an armed timer disarms it.
class Timer {
 public:
  Timer() = default;
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  virtual ~Timer() { disarm(); }

  [[nodiscard]] bool armed() const { return link_ != nullptr; }
  void disarm();

 private:
  friend class TimerWheel;
  virtual void on_timer() = 0;  // disarmed before the call; may arm itself again or be destroyed in it

  Timer* next_ = nullptr;
  Timer** link_ = nullptr;  // the pointer that points here; null: not armed
  std::uint64_t tick_ = 0;  // fires when this tick has begun
};

class TimerWheel {
 public:
  explicit TimerWheel(TimePoint now) : current_(tick_of(now)), reached_(current_) {}

  // Arms, or moves, the timer. A deadline that has passed fires at the next tick.
  void arm(Timer& timer, TimePoint deadline);
  // Arms for the next advance(), however soon: libunbound uses timers of no time to leave its own stack.
  void arm_at_once(Timer& timer);
  // Fires what is due, of those without a time and of the others at most kPortion timers each. Timers
  // armed meanwhile fire in a later call.
  void advance(TimePoint now);
  static constexpr int kPortion = 8;
  // Whether some are due since the last advance(): the loop must not sleep.
  [[nodiscard]] bool due() const {
    return at_once_ != nullptr || firing_ != nullptr || due_ != nullptr || reached_ != current_;
  }
  // How long the loop may sleep; at most `longest`.
  [[nodiscard]] Duration until_next(TimePoint now, Duration longest) const;

 private:
  static constexpr std::uint64_t kSlots = 4096;
  static constexpr Duration kTick = std::chrono::milliseconds{1};
  static std::uint64_t tick_of(TimePoint t) {
    return static_cast<std::uint64_t>(t.time_since_epoch() / kTick);
  }
  void insert(Timer& timer);
  void fire_at_once();
  [[nodiscard]] bool take_next_slot();

  Timer* at_once_ = nullptr;  // armed since firing_ was taken
  Timer* firing_ = nullptr;   // of those of no time, the ones whose turn it is
  Timer* due_ = nullptr;      // of the slot reached, those not yet looked at
  std::array<Timer*, kSlots> slots_{};
  mutable std::array<std::uint64_t, kSlots / 64> occupied_{};  // a set bit may be stale, a clear one never is
  std::uint64_t current_;                                      // tick of the last advance()
  std::uint64_t reached_;                                      // last tick whose slot was taken
};

}  // namespace isthmus::dns64
