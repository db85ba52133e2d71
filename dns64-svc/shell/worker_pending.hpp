// SPDX-License-Identifier: Apache-2.0
// A query that waits in a worker; part of worker.cpp and worker_queries.cpp, nobody else's.
#pragma once

#include <memory>

#include "dns64-svc/shell/worker.hpp"

namespace isthmus::dns64 {

class Worker::DeadlineTimer final : public Timer {
 public:
  DeadlineTimer(Worker& worker, std::uint64_t query, Deadline deadline)
      : worker_(worker), query_(query), deadline_(deadline) {}

 private:
  void on_timer() override { worker_.on_deadline(query_, deadline_); }  // may destroy this
  Worker& worker_;
  std::uint64_t query_;
  Deadline deadline_;
};

struct Worker::Pending {
  Query query;
  Channel* channel;  // none: explained
  ReplyPath path;
  TimePoint since;
  DeadlineTimer aaaa;
  DeadlineTimer client;
  struct Explaining {
    Trace trace;
    OnExplained done;
  };
  std::unique_ptr<Explaining> explaining = nullptr;

  // Each event decides afresh: the last trace is the whole story.
  [[nodiscard]] Trace* new_trace() const {
    if (explaining == nullptr) return nullptr;
    explaining->trace.clear();
    return &explaining->trace;
  }
};

}  // namespace isthmus::dns64
