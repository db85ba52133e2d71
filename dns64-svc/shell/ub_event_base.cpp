// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/shell/ub_event_base.hpp"

#include <sys/time.h>
#include <unbound-event.h>

#include "dns64-svc/shell/event_loop.hpp"

namespace isthmus::dns64 {

namespace {

// libunbound sees the C structs that ours derive from.
struct Base : ub_event_base {
  EventLoop* loop = nullptr;
};

using Callback = void (*)(int, short, void*);

class Event final : public FdWatcher, public Timer {
 public:
  Event(EventLoop& loop, int fd, short bits, Callback callback, void* argument)
      : loop_(loop), fd_(fd), bits_(bits), callback_(callback), argument_(argument) {}
  ~Event() override { remove(); }

  void add_bits(short bits) { bits_ = static_cast<short>(bits_ | bits); }
  void remove_bits(short bits) { bits_ = static_cast<short>(bits_ & ~bits); }
  void set_fd(int fd) {
    remove();
    fd_ = fd;
  }
  void set_callback(Callback callback, void* argument) {
    callback_ = callback;
    argument_ = argument;
  }

  int add(const timeval* timeout) {
    const std::uint32_t wanted =
        ((bits_ & UB_EV_READ) != 0 ? EPOLLIN : 0U) | ((bits_ & UB_EV_WRITE) != 0 ? EPOLLOUT : 0U);
    if (fd_ >= 0 && wanted != 0 && wanted != watched_) {
      const bool ok = watched_ == 0 ? loop_.watch(fd_, wanted, *this) : loop_.change(fd_, wanted, *this);
      if (!ok) return -1;
      watched_ = wanted;
    }
    if (timeout != nullptr) {
      timeout_ = std::chrono::seconds{timeout->tv_sec} + std::chrono::microseconds{timeout->tv_usec};
      loop_.arm(*this, timeout_);
    }
    return 0;
  }

  void remove() {
    if (watched_ != 0) loop_.forget(fd_, *this);
    watched_ = 0;
    disarm();
  }

  void on_ready(std::uint32_t events) override {
    // Errors and hang-ups wake whoever waits, to learn of it from the call that fails.
    const bool broken = (events & (EPOLLERR | EPOLLHUP)) != 0;
    short fired = 0;
    if ((bits_ & UB_EV_READ) != 0 && (broken || (events & EPOLLIN) != 0)) fired |= UB_EV_READ;
    if ((bits_ & UB_EV_WRITE) != 0 && (broken || (events & EPOLLOUT) != 0)) fired |= UB_EV_WRITE;
    if (fired != 0) fire(fired);
  }

 private:
  void on_timer() override { fire(UB_EV_TIMEOUT); }

  void fire(short fired) {
    if ((bits_ & UB_EV_PERSIST) == 0)
      remove();
    else if (armed() || fired == UB_EV_TIMEOUT)
      loop_.arm(*this, timeout_);
    callback_(fd_, fired, argument_);  // may destroy this event: nothing after it
  }

  EventLoop& loop_;
  int fd_;
  short bits_;
  Callback callback_;
  void* argument_;
  std::uint32_t watched_ = 0;  // what epoll was told
  Duration timeout_{};
};

struct UbEvent : ub_event {
  Event event;
  UbEvent(ub_event_vmt& table, EventLoop& loop, int fd, short bits, Callback callback, void* argument)
      : ub_event{UB_EVENT_MAGIC, &table}, event(loop, fd, bits, callback, argument) {}
};

Event& own(ub_event* e) {
  return static_cast<UbEvent*>(e)->event;
}
EventLoop& loop_of(ub_event_base* b) {
  return *static_cast<Base*>(b)->loop;
}

ub_event_vmt event_table = {
    .add_bits = [](ub_event* e, short bits) { own(e).add_bits(bits); },
    .del_bits = [](ub_event* e, short bits) { own(e).remove_bits(bits); },
    .set_fd = [](ub_event* e, int fd) { own(e).set_fd(fd); },
    .free = [](ub_event* e) { delete static_cast<UbEvent*>(e); },
    .add = [](ub_event* e, timeval* timeout) { return own(e).add(timeout); },
    .del =
        [](ub_event* e) {
          own(e).remove();
          return 0;
        },
    .add_timer =
        [](ub_event* e, ub_event_base*, Callback callback, void* argument, timeval* timeout) {
          own(e).set_callback(callback, argument);
          return own(e).add(timeout);
        },
    .del_timer =
        [](ub_event* e) {
          own(e).remove();
          return 0;
        },
    .add_signal = [](ub_event*, timeval*) { return -1; },
    .del_signal = [](ub_event*) { return -1; },
    .winsock_unregister_wsaevent = [](ub_event*) {},
    .winsock_tcp_wouldblock = [](ub_event*, int) {},
};

ub_event* new_event(ub_event_base* base, int fd, short bits, Callback callback, void* argument) {
  return new UbEvent(event_table, loop_of(base), fd, bits, callback, argument);
}

ub_event_base_vmt base_table = {
    .free = [](ub_event_base*) {},  // UbEventBase owns it
    .dispatch = [](ub_event_base*) { return 0; },
    .loopexit = [](ub_event_base*, timeval*) { return 0; },
    .new_event = new_event,
    .new_signal = [](ub_event_base*, int, Callback, void*) -> ub_event* { return nullptr; },
    .winsock_register_wsaevent = [](ub_event_base*, void*, Callback, void*) -> ub_event* { return nullptr; },
};

}  // namespace

struct UbEventBase::Impl {
  Base base;
};

UbEventBase::UbEventBase(EventLoop& loop) : impl_(std::make_unique<Impl>()) {
  impl_->base.magic = UB_EVENT_MAGIC;
  impl_->base.vmt = &base_table;
  impl_->base.loop = &loop;
}
UbEventBase::~UbEventBase() = default;
ub_event_base* UbEventBase::get() {
  return &impl_->base;
}

}  // namespace isthmus::dns64
