// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/shell/event_loop.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <functional>
#include <memory>
#include <thread>

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
