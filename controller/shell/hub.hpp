// SPDX-License-Identifier: Apache-2.0
// The one place where threads meet the core: everything that happens is posted here and runs, in order and in
// batches, on one thread that owns the decisions; then messages go to their streams. Readers take the same
// lock.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "controller/core/control_plane.hpp"
#include "isthmus/v1/control.pb.h"

namespace isthmus::controller {

// A stream as the hub sees it. Both calls are safe from any thread.
class Outbound {
 public:
  virtual ~Outbound() = default;
  virtual void send(v1::ControllerMessage message) = 0;
  virtual void end() = 0;  // after what was sent
};

// What runs now and where it came from, for the status page.
struct PolicyStatus {
  std::shared_ptr<const v1::Policy> wire;
  std::string source;
  WallTime loaded_at;
  std::vector<Violation> rejected;  // of the newest text at the source; none: it runs
  std::uint64_t rejected_total = 0;
};

class Hub {
 public:
  Hub(Settings settings, std::uint64_t epoch);
  ~Hub();  // stops
  Hub(const Hub&) = delete;
  Hub& operator=(const Hub&) = delete;

  void start();
  void stop();

  using Work = std::function<void(ControlPlane&, TimePoint)>;
  void post(Work work);
  [[nodiscard]] SessionId attach(std::shared_ptr<Outbound> stream);
  void detach(SessionId session);
  void keep_report(const ControlPlane::Key& key, v1::Report report);  // within posted work only

  void set_policy(std::shared_ptr<const Policy> policy, std::shared_ptr<const v1::Policy> wire,
                  std::string source);
  void reject_policy(std::vector<Violation> violations);

  // Calls `reader` under the lock; it must be quick.
  struct View {
    const ControlPlane& core;
    const PolicyStatus& policy;
    const std::map<ControlPlane::Key, v1::Report>& reports;
    const std::map<EventKind, std::uint64_t>& events;
    TimePoint now;
  };
  void read(const std::function<void(const View&)>& reader) const;

 private:
  void run();
  void dispatch(std::vector<Action>& actions);
  void forget_reports();

  mutable std::mutex core_lock_;  // core_, policy_, reports_, events_
  ControlPlane core_;
  PolicyStatus policy_;
  std::map<ControlPlane::Key, v1::Report> reports_;
  std::map<EventKind, std::uint64_t> events_;

  std::mutex queue_lock_;  // queue_, streams_, next_session_, stopping_
  std::condition_variable wake_;
  std::vector<Work> queue_;
  std::map<SessionId, std::shared_ptr<Outbound>> streams_;
  SessionId next_session_ = kNoSession;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace isthmus::controller
