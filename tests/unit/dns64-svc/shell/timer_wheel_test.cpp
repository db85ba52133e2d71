// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/shell/timer_wheel.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <vector>

namespace isthmus::dns64 {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;

constexpr TimePoint kStart{100s};

class Probe final : public Timer {
 public:
  explicit Probe(std::function<void()> call = [] {}) : call_(std::move(call)) {}
  int fired = 0;

 private:
  void on_timer() override {
    ++fired;
    call_();
  }
  std::function<void()> call_;
};

TEST(TimerWheel, FiresOnceAndNeverBeforeItsDeadline) {
  TimerWheel wheel{kStart};
  Probe timer;
  wheel.arm(timer, kStart + 10ms);
  wheel.advance(kStart + 9ms);
  EXPECT_EQ(timer.fired, 0);
  wheel.advance(kStart + 12ms);
  EXPECT_EQ(timer.fired, 1);
  wheel.advance(kStart + 10s);
  EXPECT_EQ(timer.fired, 1);
  EXPECT_FALSE(timer.armed());
}

TEST(TimerWheel, ADeadlineBeyondOneTurnOfTheWheelIsKept) {
  TimerWheel wheel{kStart};
  Probe timer;
  wheel.arm(timer, kStart + 10s);
  for (auto t = 0ms; t < 9990ms; t += 5ms) wheel.advance(kStart + t);
  EXPECT_EQ(timer.fired, 0);
  wheel.advance(kStart + 10002ms);
  EXPECT_EQ(timer.fired, 1);
}

TEST(TimerWheel, ALongPauseFiresEverythingThatIsDue) {
  TimerWheel wheel{kStart};
  std::vector<std::unique_ptr<Probe>> timers;
  for (int i = 0; i < 5000; ++i) {
    timers.push_back(std::make_unique<Probe>());
    wheel.arm(*timers.back(), kStart + i * 1ms);
  }
  do wheel.advance(kStart + 1h);
  while (wheel.until_next(kStart + 1h, 1s) == 0s);
  for (const auto& timer : timers) EXPECT_EQ(timer->fired, 1);
}

// A thousand lookups whose server is dead end at the same moment: cache hits must not wait for all of them.
TEST(TimerWheel, VeryManyThatAreDueFireInPortions) {
  TimerWheel wheel{kStart};
  int fired = 0;
  std::vector<std::unique_ptr<Probe>> timers;
  for (int i = 0; i < 10 * TimerWheel::kPortion; ++i) {
    timers.push_back(std::make_unique<Probe>([&] { ++fired; }));
    wheel.arm(*timers.back(), kStart + (i % 2) * 1ms);
  }
  Probe early{[&] { ++fired; }};
  for (int calls = 1; calls <= 10; ++calls) {
    wheel.advance(kStart + 5ms);
    EXPECT_EQ(fired, calls * TimerWheel::kPortion);
    if (calls == 1) wheel.arm(early, kStart);  // armed meanwhile: its turn comes after theirs
    EXPECT_EQ(wheel.until_next(kStart + 5ms, 1s), 0s) << "the loop would sleep while timers are due";
  }
  EXPECT_EQ(early.fired, 0);
  wheel.advance(kStart + 10ms);
  EXPECT_EQ(early.fired, 1);
}

// As libunbound has them when hundreds of lookups wait for one answer: each goes on by a timer of no time.
TEST(TimerWheel, VeryManyOfNoTimeFireInPortionsTheOldestPortionFirst) {
  TimerWheel wheel{kStart};
  int fired = 0;
  std::vector<std::unique_ptr<Probe>> timers;
  for (int i = 0; i < 3 * TimerWheel::kPortion; ++i) {
    timers.push_back(std::make_unique<Probe>([&] { ++fired; }));
    wheel.arm_at_once(*timers.back());
  }
  Probe later{[&] { ++fired; }};
  for (int calls = 1; calls <= 3; ++calls) {
    wheel.advance(kStart);
    EXPECT_EQ(fired, calls * TimerWheel::kPortion);
    if (calls == 1) wheel.arm_at_once(later);
    EXPECT_EQ(wheel.until_next(kStart, 1s), 0s) << "the loop would sleep while timers are due";
  }
  EXPECT_EQ(later.fired, 0);
  wheel.advance(kStart);
  EXPECT_EQ(later.fired, 1);
  EXPECT_EQ(wheel.until_next(kStart, 1s), 1s);
}

TEST(TimerWheel, DisarmedDestroyedAndMovedTimersDoNotFireAtTheOldTime) {
  TimerWheel wheel{kStart};
  Probe disarmed;
  Probe moved;
  auto destroyed = std::make_unique<Probe>();
  wheel.arm(disarmed, kStart + 5ms);
  wheel.arm(moved, kStart + 5ms);
  wheel.arm(*destroyed, kStart + 5ms);
  disarmed.disarm();
  destroyed.reset();
  wheel.arm(moved, kStart + 50ms);
  wheel.advance(kStart + 20ms);
  EXPECT_EQ(disarmed.fired, 0);
  EXPECT_EQ(moved.fired, 0);
  wheel.advance(kStart + 60ms);
  EXPECT_EQ(moved.fired, 1);
}

TEST(TimerWheel, ACallbackMayDisarmDestroyAndRearm) {
  TimerWheel wheel{kStart};
  auto victim = std::make_unique<Probe>();
  Probe other;
  Probe again{[&] { wheel.arm(again, kStart + 30ms); }};
  Probe killer{[&] {
    victim.reset();
    other.disarm();
  }};
  wheel.arm(*victim, kStart + 5ms);  // the latest armed of a slot fires first
  wheel.arm(other, kStart + 5ms);
  wheel.arm(killer, kStart + 5ms);
  wheel.arm(again, kStart + 5ms);
  wheel.advance(kStart + 7ms);
  EXPECT_EQ(killer.fired, 1);
  EXPECT_EQ(other.fired, 0);
  EXPECT_EQ(again.fired, 1);
  EXPECT_TRUE(again.armed());
  wheel.advance(kStart + 33ms);
  EXPECT_EQ(again.fired, 2);
}

TEST(TimerWheel, ATimerOfNoTimeFiresAtTheNextAdvanceOnceAndNeverInTheSame) {
  TimerWheel wheel{kStart};
  Probe again{[&] { wheel.arm_at_once(again); }};
  Probe disarmed;
  wheel.arm_at_once(disarmed);
  wheel.arm_at_once(again);
  EXPECT_EQ(wheel.until_next(kStart, 3s), 0s);
  disarmed.disarm();
  wheel.advance(kStart);
  EXPECT_EQ(again.fired, 1);
  EXPECT_EQ(disarmed.fired, 0);
  wheel.advance(kStart);
  EXPECT_EQ(again.fired, 2);
}

TEST(TimerWheel, TheLoopSleepsUntilTheNextTimer) {
  TimerWheel wheel{kStart};
  EXPECT_EQ(wheel.until_next(kStart, 3s), 3s);
  Probe timer;
  wheel.arm(timer, kStart + 500ms);
  EXPECT_GE(wheel.until_next(kStart, 3s), 500ms);
  EXPECT_LE(wheel.until_next(kStart, 3s), 502ms);
  EXPECT_EQ(wheel.until_next(kStart, 100ms), 100ms);
  EXPECT_EQ(wheel.until_next(kStart + 2s, 3s), 0s);
  timer.disarm();
  EXPECT_EQ(wheel.until_next(kStart, 3s), 3s);
}

}  // namespace
}  // namespace isthmus::dns64
