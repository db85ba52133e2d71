// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/shell/event_loop.hpp"

#include <sys/eventfd.h>

#include <cerrno>
#include <cstring>

namespace isthmus::dns64 {

Result<std::unique_ptr<EventLoop>, std::string> EventLoop::create() {
  UniqueFd epoll{epoll_create1(EPOLL_CLOEXEC)};
  UniqueFd wake{eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  epoll_event event{.events = EPOLLIN, .data = {.ptr = nullptr}};
  if (!epoll.valid() || !wake.valid() || epoll_ctl(epoll.get(), EPOLL_CTL_ADD, wake.get(), &event) != 0) {
    return failure(std::string{"cannot make an event loop: "} + std::strerror(errno) +
                   "; raise the limit of open files (ulimit -n)");
  }
  return std::unique_ptr<EventLoop>{new EventLoop{std::move(epoll), std::move(wake)}};
}

EventLoop::EventLoop(UniqueFd epoll, UniqueFd wake)
    : epoll_(std::move(epoll)), wake_(std::move(wake)), now_(boot_now()), timers_(now_) {}

EventLoop::~EventLoop() = default;

bool EventLoop::watch(int fd, std::uint32_t events, FdWatcher& watcher) {
  epoll_event event{.events = events, .data = {.ptr = &watcher}};
  return epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0;
}

bool EventLoop::change(int fd, std::uint32_t events, FdWatcher& watcher) {
  epoll_event event{.events = events, .data = {.ptr = &watcher}};
  return epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) == 0;
}

void EventLoop::forget(int fd, FdWatcher& watcher) {
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
  for (std::size_t i = ready_next_; i < ready_count_; ++i) {
    if (ready_[i].data.ptr == &watcher) ready_[i].events = 0;
  }
}

void EventLoop::post(std::function<void()> task) {
  {
    const std::lock_guard lock{posted_mutex_};
    posted_.push_back(std::move(task));
  }
  if (!woken_.exchange(true)) {
    const std::uint64_t one = 1;
    // The counter cannot overflow: it is written once per wake-up.
    [[maybe_unused]] const auto written = ::write(wake_.get(), &one, sizeof one);
  }
}

void EventLoop::forget_posted() {
  std::vector<std::function<void()>> tasks;
  const std::lock_guard lock{posted_mutex_};
  tasks.swap(posted_);
}

void EventLoop::stop() {
  stopping_.store(true);
  post([] {});
}

void EventLoop::drain_posted() {
  std::uint64_t count = 0;
  [[maybe_unused]] const auto got = ::read(wake_.get(), &count, sizeof count);
  woken_.store(false);  // before the swap: a task posted after it wakes us again
  std::vector<std::function<void()>> tasks;
  {
    const std::lock_guard lock{posted_mutex_};
    tasks.swap(posted_);
  }
  for (auto& task : tasks) {
    task();
    breathe();
  }
}

void EventLoop::turn(Duration longest) {
  using std::chrono::milliseconds;
  now_ = boot_now();
  // Rounded up, or the loop would spin through the last fraction of a millisecond.
  const auto sleep = std::chrono::ceil<milliseconds>(timers_.until_next(now_, longest));
  const int count = epoll_wait(epoll_.get(), ready_.data(), kBatch, static_cast<int>(sleep.count()));
  now_ = boot_now();
  ready_count_ = count > 0 ? static_cast<std::size_t>(count) : 0;
  for (ready_next_ = 0; ready_next_ < ready_count_;) {
    const auto event = ready_[ready_next_++];
    if (event.events == 0) continue;  // forgotten by an earlier callback of this turn
    if (event.data.ptr == nullptr)
      drain_posted();
    else
      static_cast<FdWatcher*>(event.data.ptr)->on_ready(event.events);
    breathe();
  }
  ready_count_ = 0;
  timers_.advance(now_);
  for (int portions = 1; timers_.due() && portions < kPortionsOfTimers; ++portions) {
    look_between();
    timers_.advance(now_);
  }
  if (turn_end_) turn_end_();
}

void EventLoop::breathe() {
  if (++done_ >= kBreath) look_between();
}

void EventLoop::look_between() {
  done_ = 0;
  if (!between_) return;
  now_ = boot_now();
  between_();
}

void EventLoop::run() {
  while (!stopping_.load(std::memory_order_relaxed)) turn(std::chrono::seconds{10});
}

}  // namespace isthmus::dns64
