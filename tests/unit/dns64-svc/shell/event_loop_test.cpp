// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/shell/event_loop.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

namespace isthmus::dns64 {
namespace {

using namespace std::chrono_literals;

struct Pair {
  UniqueFd ours, theirs;
  Pair() {
    int fds[2] = {-1, -1};
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    ours.reset(fds[0]);
    theirs.reset(fds[1]);
  }
  void poke() const { EXPECT_EQ(write(theirs.get(), "x", 1), 1); }
};

struct Watcher final : FdWatcher {
  std::function<void()> call = [] {};
  int calls = 0;
  void on_ready(std::uint32_t) override {
    ++calls;
    call();
  }
};

TEST(EventLoop, CallsTheWatcherOfAReadableDescriptor) {
  auto loop = EventLoop::create().value();
  Pair pair;
  Watcher watcher;
  ASSERT_TRUE(loop->watch(pair.ours.get(), EPOLLIN, watcher));
  loop->turn(0ms);
  EXPECT_EQ(watcher.calls, 0);
  pair.poke();
  loop->turn(1s);
  EXPECT_EQ(watcher.calls, 1);
  loop->forget(pair.ours.get(), watcher);
  loop->turn(0ms);
  EXPECT_EQ(watcher.calls, 1);
}

TEST(EventLoop, AWatcherForgottenInTheSameTurnIsNotCalled) {
  auto loop = EventLoop::create().value();
  Pair a;
  Pair b;
  Watcher first;
  Watcher second;
  ASSERT_TRUE(loop->watch(a.ours.get(), EPOLLIN, first));
  ASSERT_TRUE(loop->watch(b.ours.get(), EPOLLIN, second));
  first.call = [&] { loop->forget(b.ours.get(), second); };
  second.call = [&] { loop->forget(a.ours.get(), first); };
  a.poke();
  b.poke();
  loop->turn(1s);
  EXPECT_EQ(first.calls + second.calls, 1);
}

TEST(EventLoop, RunsWhatOtherThreadsPostAndStops) {
  auto loop = EventLoop::create().value();
  int ran = 0;
  std::thread poster{[&] {
    for (int i = 0; i < 1000; ++i) loop->post([&] { ++ran; });
    loop->stop();
  }};
  loop->run();
  poster.join();
  loop->turn(0ms);  // what was posted beside the stop
  EXPECT_EQ(ran, 1000);
}

TEST(EventLoop, WhatWasPostedAndNotRunCanBeLetGoWithAllThatItHolds) {
  auto loop = EventLoop::create().value();
  auto held = std::make_shared<int>(1);
  bool ran = false;
  loop->post([held, &ran] { ran = true; });
  EXPECT_EQ(held.use_count(), 2);
  loop->forget_posted();
  EXPECT_EQ(held.use_count(), 1);
  loop->turn(0ms);
  EXPECT_FALSE(ran);
}

struct Ticking final : Timer {
  void on_timer() override {}
};

// Cache hits (what the hook looks for) do not wait for everything that lookups have to do in this turn.
TEST(EventLoop, TheHookBetweenComesAfterEveryFewThingsDone) {
  auto loop = EventLoop::create().value();
  std::vector<Pair> pairs(20);
  std::vector<Watcher> watchers(20);
  std::vector<int> done_at;
  loop->set_between([&] {
    int done = 0;
    for (const auto& watcher : watchers) done += watcher.calls;
    done_at.push_back(done);
  });
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    ASSERT_TRUE(loop->watch(pairs[i].ours.get(), EPOLLIN, watchers[i]));
    pairs[i].poke();
  }
  loop->turn(1s);
  EXPECT_EQ(done_at, (std::vector<int>{8, 16}));
}

TEST(EventLoop, TheHookBetweenComesBetweenPostedTasks) {
  auto loop = EventLoop::create().value();
  int done = 0;
  std::vector<int> done_at;
  loop->set_between([&] { done_at.push_back(done); });
  for (int i = 0; i < 20; ++i) loop->post([&] { ++done; });
  loop->turn(1s);
  EXPECT_EQ(done_at, (std::vector<int>{8, 16}));
}

TEST(EventLoop, TheHookBetweenComesBetweenPortionsOfTimers) {
  auto loop = EventLoop::create().value();
  std::array<Ticking, 3 * TimerWheel::kPortion> timers;
  std::vector<int> armed_at;
  loop->set_between([&] {
    int armed = 0;
    for (const auto& timer : timers) armed += timer.armed() ? 1 : 0;
    armed_at.push_back(armed);
  });
  for (auto& timer : timers) loop->arm(timer, 0s);
  loop->turn(1s);
  EXPECT_EQ(armed_at, (std::vector<int>{2 * TimerWheel::kPortion, TimerWheel::kPortion}));
  for (const auto& timer : timers) EXPECT_FALSE(timer.armed());
}

TEST(EventLoop, TheTurnEndHookComesAfterEveryTurn) {
  auto loop = EventLoop::create().value();
  int turns = 0;
  loop->set_turn_end([&] { ++turns; });
  loop->turn(0ms);
  loop->turn(0ms);
  EXPECT_EQ(turns, 2);
}

}  // namespace
}  // namespace isthmus::dns64
