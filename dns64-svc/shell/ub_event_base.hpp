// SPDX-License-Identifier: Apache-2.0
// Lets libunbound run on our EventLoop: its "pluggable event base" (unbound-event.h) over epoll and the
// timing wheel. Semantics are those of libevent, which libunbound expects: a persistent event re-arms its
// timeout each time it fires, any other is removed before its callback runs, and an event may be freed in its
// own callback. One thread: the loop's.
#pragma once

#include <cstdint>
#include <memory>

struct ub_event_base;

namespace isthmus::dns64 {

class EventLoop;

class UbEventBase {
 public:
  explicit UbEventBase(EventLoop& loop);
  ~UbEventBase();  // after every context made on it is gone
  UbEventBase(const UbEventBase&) = delete;
  UbEventBase& operator=(const UbEventBase&) = delete;
  [[nodiscard]] ub_event_base* get();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace isthmus::dns64
