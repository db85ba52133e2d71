// SPDX-License-Identifier: Apache-2.0
// One worker's loop: epoll, timers, and messages from other threads. Everything but post() and stop() belongs
// to the thread that runs it.
#pragma once

#include <sys/epoll.h>

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "common/base/result.hpp"
#include "common/base/unique_fd.hpp"
#include "dns64-svc/shell/timer_wheel.hpp"

namespace isthmus::dns64 {

class FdWatcher {
 public:
  virtual void on_ready(std::uint32_t events) = 0;  // EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP

 protected:
  ~FdWatcher() = default;
};

class EventLoop {
 public:
  [[nodiscard]] static Result<std::unique_ptr<EventLoop>, std::string> create();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;
  ~EventLoop();

  // Level-triggered. False when the kernel refuses (limit of watches, or no such descriptor).
  [[nodiscard]] bool watch(int fd, std::uint32_t events, FdWatcher& watcher);
  [[nodiscard]] bool change(int fd, std::uint32_t events, FdWatcher& watcher);
  // No call for this watcher comes after this, not even for events that epoll has returned already.
  void forget(int fd, FdWatcher& watcher);

  void arm(Timer& timer, Duration from_now) {
    if (from_now <= Duration{0})
      timers_.arm_at_once(timer);
    else
      timers_.arm(timer, now_ + from_now);
  }
  void arm_at(Timer& timer, TimePoint deadline) { timers_.arm(timer, deadline); }

  // The time of this turn, read at its begin and whenever the loop has breathed.
  [[nodiscard]] TimePoint now() const { return now_; }

  // Runs `task` in the loop's thread at its next turn; from any thread.
  void post(std::function<void()> task);
  // Once run() has ended: what was posted and not run goes, with all that it holds, while that may still be
  // used.
  void forget_posted();
  // Called after every few callbacks of a turn, for what is quickly done and must not wait for all the
  // others.
  void set_between(std::function<void()> hook) { between_ = std::move(hook); }
  // To be called by whoever does many things in one callback or hook, after each of them.
  void breathe();
  // Called at the end of every turn, before the loop sleeps.
  void set_turn_end(std::function<void()> hook) { turn_end_ = std::move(hook); }

  void run();                   // until stop()
  void turn(Duration longest);  // one turn: waits at most `longest` for something to do
  void stop();                  // from any thread

 private:
  EventLoop(UniqueFd epoll, UniqueFd wake);
  void drain_posted();
  void look_between();

  static constexpr std::size_t kBatch = 64;
  static constexpr int kPortionsOfTimers = 4;  // a turn
  static constexpr int kBreath = 8;            // things done
  UniqueFd epoll_;
  UniqueFd wake_;
  TimePoint now_;
  TimerWheel timers_;
  std::array<epoll_event, kBatch> ready_{};
  std::size_t ready_count_ = 0;
  std::size_t ready_next_ = 0;
  std::function<void()> between_;
  int done_ = 0;  // since between_ was called
  std::function<void()> turn_end_;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> woken_{false};
  std::mutex posted_mutex_;
  std::vector<std::function<void()>> posted_;
};

}  // namespace isthmus::dns64
