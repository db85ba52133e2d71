// SPDX-License-Identifier: Apache-2.0
// The one place where threads meet the core: everything that happens is posted here and runs, in order and in
// batches, on one thread that owns the decisions; what was decided is made durable; then messages go to their
// streams. While the store cannot be written nothing leaves and nothing more is decided. Readers take the
// same lock.
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
#include "controller/core/event_log.hpp"
#include "controller/shell/list_chunks.hpp"
#include "controller/shell/policy_desk.hpp"
#include "controller/store/ledger.hpp"
#include "isthmus/v1/control.pb.h"

namespace isthmus::controller {

// A stream as the hub sees it. Both calls are safe from any thread.
class Outbound {
 public:
  virtual ~Outbound() = default;
  virtual void send(v1::ControllerMessage message) = 0;
  virtual void end() = 0;  // after what was sent
  virtual void cut() = 0;  // at once: its peer does not read, or says nothing
};

// The newest text at the source of the policy, when it does not run.
struct PolicyStatus {
  std::vector<Violation> rejected;  // of the newest text at the source; none: it runs
  std::uint64_t rejected_total = 0;
};

// How writing decisions down goes.
struct StoreStatus {
  std::uint64_t commits = 0;  // batches of decisions
  std::uint64_t failures = 0;
  Duration spent{};     // in commits
  std::string problem;  // why decisions wait now; empty: they do not
};

class Hub {
 public:
  Hub(Settings settings, std::uint64_t epoch);  // keeps nothing: for tests
  Hub(Settings settings, std::unique_ptr<Ledger> ledger);
  ~Hub();  // stops
  Hub(const Hub&) = delete;
  Hub& operator=(const Hub&) = delete;

  // `lost` is called, once and from the hub's thread, when another process writes the store now: everything
  // here is to be ended.
  void start(std::function<void()> lost = {});
  void stop();

  using Work = std::function<void(ControlPlane&, TimePoint)>;
  // `durable` is called after what `work` decided was made durable. When the hub ends before, both are
  // destroyed uncalled, at once if it has ended already.
  void post(Work work, std::function<void()> durable = {});
  // None when nothing is kept. Thread-safe.
  [[nodiscard]] Store* store() const { return ledger_ == nullptr ? nullptr : &ledger_->store(); }
  [[nodiscard]] SessionId attach(std::shared_ptr<Outbound> stream);
  void detach(SessionId session);
  void keep_report(const ControlPlane::Key& key, v1::Report report);  // within posted work only

  // Before start(): where the policy comes from. What was kept of it goes on. `revisions`: DesiredState.
  [[nodiscard]] Result<void, std::string> use_policy_from(PolicyOrigin origin, std::string name,
                                                          bool revisions);
  // Takes a policy, durably, or refuses it; `done`, if any, is then called from the hub's thread.
  using Proposed = std::function<void(const Result<std::uint64_t, ProposalRefused>&)>;
  void propose(Proposal proposal, Proposed done = {});
  void reject_policy(std::vector<Violation> violations);
  // The pieces of the lists that policies name; they are put here before the policy. Thread-safe.
  [[nodiscard]] ListChunks& chunks() { return chunks_; }

  // Calls `reader` under the lock; it must be quick.
  struct View {
    const ControlPlane& core;
    const PolicyDesk& desk;
    const PolicyStatus& policy;
    const std::map<ControlPlane::Key, v1::Report>& reports;
    const std::map<EventKind, std::uint64_t>& events;
    const StoreStatus& store;
    const EventLog& log;
    TimePoint now;
  };
  void read(const std::function<void(const View&)>& reader) const;

 private:
  struct Item {
    Work work;
    std::function<void()> durable;
  };
  using Message = std::pair<SessionId, v1::ControllerMessage>;
  struct Attached {
    std::shared_ptr<Outbound> stream;
    unsigned strange = 0;  // looks in a row at which it was the stream of no service
  };

  void run();
  void let_go();
  [[nodiscard]] std::vector<Item> wait_for_work();
  [[nodiscard]] std::vector<Message> decide(std::vector<Item>& batch);
  [[nodiscard]] bool make_durable();
  [[nodiscard]] bool still_writer();
  [[nodiscard]] bool pause(Duration time);
  void prune_history(TimePoint now);
  void note_marks();
  void cut_off_strangers(TimePoint now);
  void keep_chunks(TimePoint now);
  void dispatch(std::vector<Message>& messages);
  void forget_reports();

  const Duration hello_within_;
  std::unique_ptr<Ledger> ledger_;  // the hub's thread's; may be none
  mutable std::mutex core_lock_;    // core_, policy_, reports_, events_, store_, log_
  ControlPlane core_;
  PolicyDesk desk_;
  ListChunks chunks_;
  PolicyStatus policy_;
  std::map<ControlPlane::Key, v1::Report> reports_;
  std::map<EventKind, std::uint64_t> events_;
  StoreStatus store_;
  EventLog log_;

  std::mutex queue_lock_;  // queue_, streams_, next_session_, stopping_
  std::condition_variable wake_;
  std::vector<Item> queue_;
  std::map<SessionId, Attached> streams_;
  SessionId next_session_ = kNoSession;
  bool stopping_ = false;
  std::function<void()> lost_;
  TimePoint prune_at_;
  TimePoint look_for_strangers_at_;
  std::thread thread_;
};

}  // namespace isthmus::controller
