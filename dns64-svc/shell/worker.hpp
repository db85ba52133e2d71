// SPDX-License-Identifier: Apache-2.0
// One thread, one loop: requests come from the listeners, go through the core's Query, wait for lookups where
// they must, and leave as replies. Workers share the fact cache and nothing else; a lookup belongs to the
// worker that owns its name, so that each name is resolved by one libunbound context.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "dns64-svc/core/query.hpp"
#include "dns64-svc/core/rate_limit.hpp"
#include "dns64-svc/core/runtime.hpp"
#include "dns64-svc/shell/event_loop.hpp"
#include "dns64-svc/shell/lookups.hpp"
#include "dns64-svc/shell/query_tap.hpp"
#include "dns64-svc/shell/tcp_listener.hpp"
#include "dns64-svc/shell/ub_event_base.hpp"
#include "dns64-svc/shell/udp_listener.hpp"
#include "dns64-svc/shell/worker_stats.hpp"

namespace isthmus::dns64 {

// A question answered for an operator, with the decisions on the way.
struct Explanation {
  Step step;
  Trace trace;
  std::vector<std::uint8_t> reply;
  std::shared_ptr<const Dns64Runtime> runtime;  // what step.view and step.prefix are indices of
};
using OnExplained = std::function<void(Explanation&&)>;

// A policy as the workers run it.
struct Orders {
  std::shared_ptr<const Dns64Runtime> runtime;
  GroupConfigs groups;
};

class Worker final : public RequestHandler {
 public:
  // `state_dir`: where the root's keys are followed; empty: they are not. `peers` is all workers, this one at
  // `index`; complete before any thread starts.
  Worker(unsigned index, FactCache& cache, const std::vector<std::unique_ptr<Worker>>& peers,
         std::atomic<bool>& resolver_answered, std::unique_ptr<EventLoop> loop, const HashKey& limit_key,
         const std::string& state_dir = {});
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Before start(): who looks on while this worker answers.
  void add_tap(std::unique_ptr<QueryTap> tap) { taps_.push_back(std::move(tap)); }
  // Before start(): opens the sockets.
  [[nodiscard]] Result<void, std::string> listen(const SocketAddress& address);
  void start();

  // From any thread; the future is ready when this worker has done it.
  [[nodiscard]] std::future<Result<void, std::string>> prepare(std::shared_ptr<const Orders> orders);
  [[nodiscard]] std::future<void> run(std::shared_ptr<const Orders> orders);
  void drain();  // no new requests
  [[nodiscard]] bool idle() const { return stats_.pending.get() == 0; }
  void stop();                                         // ends the thread
  void resolve(const Ask& ask, const Waiter& waiter);  // from any worker: lookups of names this one owns
  void deliver(const Waiter& waiter, const LookupResult& result);  // from another worker
  // From any thread; `done` is called in this worker's, within two seconds. Counts as nobody's query.
  void explain(const Request& request, const ClientInfo& client, OnExplained done);
  void forget_servers();  // from any thread: delegations and addresses that the resolvers have learned
  [[nodiscard]] const WorkerStats& stats() const { return stats_; }

 private:
  struct Pending;
  class DeadlineTimer;

  void expect(std::span<const std::uint8_t> request, const ClientInfo& client) override;
  void expected_all() override;
  std::size_t handle(std::span<const std::uint8_t> request, const ClientInfo& client, Channel& channel,
                     const ReplyPath& path, std::span<std::uint8_t> reply) override;
  [[nodiscard]] Context context(Trace* trace = nullptr) const {
    return {.runtime = *runtime_, .cache = cache_, .now = loop_->now(), .trace = trace};
  }
  void start_explaining(const Request& request, const ClientInfo& client, OnExplained done);
  void limit_clients(std::uint32_t queries_per_second);
  void ask(const Step& step, std::uint64_t query);
  void on_result(const Waiter& waiter, const LookupResult& result);
  void on_deadline(std::uint64_t query, Deadline deadline);
  void proceed(std::uint64_t query, const Step& step);
  void count(const Step& step, const Query& query, std::span<const std::uint8_t> reply, Duration took);
  void name_counters();
  using PendingMap = std::unordered_map<std::uint64_t, std::unique_ptr<Pending>>;
  PendingMap::iterator add_pending(std::unique_ptr<Pending> pending, std::uint64_t id);
  void end_pending(PendingMap::iterator pending);
  void count_drop(DropReason reason, Transport transport);
  void end_turn();
  [[nodiscard]] Worker& owner_of(const Name& name) const;

  unsigned index_;
  FactCache& cache_;
  const std::vector<std::unique_ptr<Worker>>& peers_;
  std::atomic<bool>& resolver_answered_;
  std::unique_ptr<EventLoop> loop_;
  UbEventBase event_base_;
  Lookups lookups_;
  HashKey limit_key_;
  std::uint32_t limit_rate_ = 0;  // of client_limit_: queries per second of one client, here
  ClientRateLimit client_limit_;
  std::shared_ptr<const Dns64Runtime> runtime_;  // null: no policy yet, nobody is served
  std::vector<std::unique_ptr<UdpListener>> udp_;
  std::vector<std::unique_ptr<TcpListener>> tcp_;
  PendingMap pending_;
  std::unordered_map<std::uint64_t, std::size_t> pending_of_client_;
  std::vector<ViewStats*> view_stats_;      // by the runtime's indices
  std::vector<PrefixStats*> prefix_stats_;  // likewise
  std::vector<std::unique_ptr<QueryTap>> taps_;
  std::uint64_t next_query_ = 1;
  std::array<std::uint64_t, 128> expected_{};  // keys of facts that the next requests will read
  std::size_t expected_count_ = 0;
  std::vector<std::uint8_t> scratch_;  // late replies are written here
  std::unique_ptr<Timer> priming_;
  WorkerStats stats_;
  std::thread thread_;
};

}  // namespace isthmus::dns64
