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
#include "dns64-svc/core/query_limits.hpp"
#include "dns64-svc/core/runtime.hpp"
#include "dns64-svc/shell/event_loop.hpp"
#include "dns64-svc/shell/lookups.hpp"
#include "dns64-svc/shell/query_tap.hpp"
#include "dns64-svc/shell/stream_listener.hpp"
#include "dns64-svc/shell/ub_event_base.hpp"
#include "dns64-svc/shell/udp_listener.hpp"
#include "dns64-svc/shell/worker_stats.hpp"

namespace isthmus::dns64 {

// How many queries of one worker may wait for lookups at a time. Beyond it a miss is refused at once: hits go
// on.
struct WaitingLimits {
  std::size_t queries = kMostWaiting;
  // Of one client (an IPv6 /64, an IPv4 address): a forwarder with many clients behind it looks like one.
  std::size_t of_one_client = kMostWaiting / 4;
  // From here on a client has to prove its address before it may wait: by a cookie (RFC 7873 §5.2.3), or over
  // a stream.
  std::size_t unproven = kMostWaiting / 2;
  // More there can be only when clients are gone already, after their deadline, while the lookup goes on, or
  // with several workers.
  std::size_t for_one_lookup = kMostWaiting;
};

// What workers are told at start; outlives them.
struct WorkerOptions {
  unsigned workers = 1;    // how many share each limit
  AddressList proxies;     // balancers that speak the PROXY protocol
  AddressList forwarders;  // whose client subnets (RFC 7871) are believed
  StreamLimits streams;    // of one worker
  // Equal responses over UDP towards one network, of all workers together; 0: no limit.
  std::uint32_t responses_per_second = 0;
  HashKey limit_key;  // of the tables of rate limits
  RootAnchor root_anchor;
  WaitingLimits waiting = {};
};

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
  // `peers` is all workers, this one at
  // `index`; complete before any thread starts.
  Worker(unsigned index, FactCache& cache, const std::vector<std::unique_ptr<Worker>>& peers,
         std::atomic<bool>& resolver_answered, std::unique_ptr<EventLoop> loop, const WorkerOptions& options);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Before start(): who looks on while this worker answers.
  void add_tap(std::unique_ptr<QueryTap> tap) { taps_.push_back(std::move(tap)); }
  // Before start(): opens the sockets.
  [[nodiscard]] Result<void, std::string> listen_udp(const SocketAddress& address);
  [[nodiscard]] Result<void, std::string> listen_stream(const SocketAddress& address,
                                                        StreamProtocol protocol);
  void start();

  // From any thread; the future is ready when this worker has done it.
  // The resolvers that these orders need and this worker lacks; those it has stay.
  [[nodiscard]] std::future<GroupConfigs> keep_resolvers(std::shared_ptr<const Orders> orders);
  [[nodiscard]] std::future<void> run(std::shared_ptr<const Orders> orders);
  void let_go_of_resolvers();  // once all workers run their orders: those of the orders before
  void use_tls(std::shared_ptr<const TlsContexts> contexts);
  void use_cookies(std::shared_ptr<const CookieJar> jar);
  [[nodiscard]] std::future<void> drain();             // no new requests
  [[nodiscard]] bool idle() const;                     // nothing waits, and no stream has anything to say
  void stop();                                         // ends the thread
  void resolve(const Ask& ask, const Waiter& waiter);  // from any worker: lookups of names this one owns
  void deliver(const Waiter& waiter, const LookupResult& result);  // from another worker
  // From any thread; `done` is called in this worker's, within two seconds. Counts as nobody's query.
  void explain(const Request& request, const ClientInfo& client, OnExplained done);
  // From any thread but this worker's: delegations, addresses and CNAMEs that the resolvers of these groups
  // have learned are forgotten. The new contexts are made by the caller, so that answers do not wait.
  [[nodiscard]] std::future<void> renew_resolvers(const GroupConfigs& groups, const Dns64Limits& limits);
  // Likewise: makes the contexts of those resolvers and hands them over, before what is posted next.
  [[nodiscard]] Result<void, std::string> prepare(const std::shared_ptr<const Orders>& orders,
                                                  const GroupConfigs& missing);
  [[nodiscard]] const WorkerStats& stats() const { return stats_; }

 private:
  struct Pending;
  class DeadlineTimer;

  void expect(std::span<const std::uint8_t> request, const ClientInfo& client) override;
  void expected_all() override;
  [[nodiscard]] bool serves(const ClientAddress& client) const override;
  std::size_t handle(std::span<const std::uint8_t> request, const ClientInfo& client, Channel& channel,
                     const ReplyPath& path, std::span<std::uint8_t> reply) override;
  [[nodiscard]] Context context(Trace* trace = nullptr) const;
  void start_explaining(const Request& request, const ClientInfo& client, OnExplained done);
  void limit(Query& query, Step& step, std::span<std::uint8_t> reply);
  void ask(const Step& step, std::uint64_t query);
  void on_result(const Waiter& waiter, const LookupResult& result);
  void on_deadline(std::uint64_t query, Deadline deadline);
  void proceed(std::uint64_t query, Step step);
  void count(const Step& step, const Query& query, std::span<const std::uint8_t> reply, Duration took);
  void name_counters();
  using PendingMap = std::unordered_map<std::uint64_t, std::unique_ptr<Pending>>;
  PendingMap::iterator add_pending(std::unique_ptr<Pending> pending, std::uint64_t id);
  void end_pending(PendingMap::iterator pending);
  void count_drop(DropReason reason, Transport transport);
  void end_turn();
  [[nodiscard]] Worker& owner_of(const Name& name) const;

  WorkerStats stats_;
  unsigned index_;
  FactCache& cache_;
  const std::vector<std::unique_ptr<Worker>>& peers_;
  std::atomic<bool>& resolver_answered_;
  std::unique_ptr<EventLoop> loop_;
  StreamEnvironment environment_;
  UbEventBase event_base_;
  Lookups lookups_;
  const WorkerOptions& options_;
  QueryLimits limits_;
  std::shared_ptr<const CookieJar> cookies_;
  std::shared_ptr<const Dns64Runtime> runtime_;  // null: no policy yet, nobody is served
  std::vector<std::unique_ptr<UdpListener>> udp_;
  std::vector<std::unique_ptr<StreamListener>> streams_;
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
  std::unique_ptr<Timer> following_;  // of the root's keys
  std::thread thread_;
};

}  // namespace isthmus::dns64
