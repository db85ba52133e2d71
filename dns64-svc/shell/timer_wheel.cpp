// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/shell/timer_wheel.hpp"

#include <algorithm>
#include <bit>
#include <utility>

namespace isthmus::dns64 {

void Timer::disarm() {
  if (link_ == nullptr) return;
  *link_ = next_;
  if (next_ != nullptr) next_->link_ = link_;
  link_ = nullptr;
  next_ = nullptr;
}

void TimerWheel::arm(Timer& timer, TimePoint deadline) {
  timer.disarm();
  // Rounded up: a timer never fires before its deadline.
  timer.tick_ = std::max(tick_of(deadline) + 1, current_ + 1);
  insert(timer);
}

void TimerWheel::arm_at_once(Timer& timer) {
  timer.disarm();
  timer.next_ = at_once_;
  timer.link_ = &at_once_;
  if (timer.next_ != nullptr) timer.next_->link_ = &timer.next_;
  at_once_ = &timer;
}

void TimerWheel::insert(Timer& timer) {
  const auto slot = timer.tick_ % kSlots;
  timer.next_ = slots_[slot];
  timer.link_ = &slots_[slot];
  if (timer.next_ != nullptr) timer.next_->link_ = &timer.next_;
  slots_[slot] = &timer;
  occupied_[slot / 64] |= std::uint64_t{1} << (slot % 64);
}

void TimerWheel::fire_at_once() {
  if (firing_ == nullptr) {
    firing_ = std::exchange(at_once_, nullptr);
    if (firing_ != nullptr) firing_->link_ = &firing_;  // callbacks may disarm any timer of this list
  }
  for (int left = kPortion; firing_ != nullptr && left > 0; --left) {
    Timer& timer = *firing_;
    timer.disarm();
    timer.on_timer();
  }
}

void TimerWheel::advance(TimePoint now) {
  fire_at_once();
  current_ = std::max(current_, tick_of(now));  // what the callbacks arm lands in a later tick
  // After a long pause every slot is visited once, not once per missed tick.
  if (current_ - reached_ > kSlots) reached_ = current_ - kSlots;
  for (int left = kPortion; left > 0;) {
    if (due_ == nullptr && !take_next_slot()) return;
    if (due_ == nullptr) continue;
    Timer& timer = *due_;
    timer.disarm();
    if (timer.tick_ > current_) {
      insert(timer);  // another turn of the wheel to go
    } else {
      timer.on_timer();
      --left;
    }
  }
}

bool TimerWheel::take_next_slot() {
  if (reached_ == current_) return false;
  const auto slot = ++reached_ % kSlots;
  due_ = std::exchange(slots_[slot], nullptr);
  occupied_[slot / 64] &= ~(std::uint64_t{1} << (slot % 64));
  if (due_ != nullptr) due_->link_ = &due_;  // callbacks may disarm any timer of this list
  return true;
}

Duration TimerWheel::until_next(TimePoint now, Duration longest) const {
  if (due()) return Duration{0};
  for (std::uint64_t ahead = 1; ahead <= kSlots;) {
    const auto slot = (current_ + ahead) % kSlots;
    const auto word = occupied_[slot / 64] >> (slot % 64);
    if (word == 0) {
      ahead += 64 - slot % 64;
      continue;
    }
    ahead += static_cast<std::uint64_t>(std::countr_zero(word));
    const auto found = (current_ + ahead) % kSlots;
    if (slots_[found] == nullptr) {  // its timers were disarmed
      occupied_[found / 64] &= ~(std::uint64_t{1} << (found % 64));
      continue;
    }
    const auto due = TimePoint{kTick * static_cast<std::int64_t>(current_ + ahead)};
    return std::clamp(due - now, Duration{0}, longest);
  }
  return longest;
}

}  // namespace isthmus::dns64
