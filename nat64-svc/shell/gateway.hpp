// SPDX-License-Identifier: Apache-2.0
// Either mode: owns everything that runs (steering, workers, routes, watcher, and in node mode what
// NodeMode makes) and applies policy and
// allocation to it in the order that never leaves a gap: routes, then workers, then what the kernel steers to
// them; removal the other way round.
//
// on_policy() and on_allocation() come from one thread; the watcher's thread rebuilds when an interface
// changes; the HTTP thread reads. One mutex, never taken on the packet path.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "common/control/service_handlers.hpp"
#include "nat64-svc/shell/announce/announced_routes.hpp"
#include "nat64-svc/shell/announce/arp_responder.hpp"
#include "nat64-svc/shell/announce/router_listener.hpp"
#include "nat64-svc/shell/netlink/kernel_routes.hpp"
#include "nat64-svc/shell/netlink/netlink_watcher.hpp"
#include "nat64-svc/shell/node/masquerade_watch.hpp"
#include "nat64-svc/shell/node/node_mode.hpp"
#include "nat64-svc/shell/startup_config.hpp"
#include "nat64-svc/shell/usable_leases.hpp"
#include "nat64-svc/shell/worker.hpp"
#include "nat64-svc/shell/xsk/steering.hpp"

namespace isthmus::nat64 {

class Gateway {
 public:
  // Opens everything; nothing is taken from the kernel before a policy came. The error is a sentence with the
  // remedy.
  [[nodiscard]] static Result<std::unique_ptr<Gateway>, std::string> open(const StartupConfig& config);
  ~Gateway();  // stops; leaves the routes, see close()
  Gateway(const Gateway&) = delete;
  Gateway& operator=(const Gateway&) = delete;

  [[nodiscard]] ServiceHandlers handlers();
  // Ends on purpose: nothing of ours stays in the kernel.
  void close();
  // Everybody is told to send elsewhere: the controller, neighbours, routing daemons. What still comes is
  // translated.
  void stop_announcing();

  // An interface of ours was removed: its sockets are dead for good, whatever comes back under its name. The
  // process was sent SIGTERM, that it ends and is started anew. Empty: nothing of the kind.
  [[nodiscard]] std::string lost_interface() const;

  // Empty when traffic is translated, else why not.
  [[nodiscard]] std::string not_ready_because() const;

  // Node mode: has the node a way to the IPv4 internet, and do all packets come from its own addresses?
  struct NodeStatus {
    bool uplink4 = false;
    bool masqueraded = false;
  };
  [[nodiscard]] std::optional<NodeStatus> node_status() const;

  struct PortStatus {
    std::string interface;
    XdpMode mode = XdpMode::kAuto;
  };
  // Gateway mode: translation prefixes that routers announce to clients (RFC 8781).
  struct AnnouncedPref64 {
    HeardPref64s::Entry heard;
    bool ours = false;
  };
  [[nodiscard]] std::vector<AnnouncedPref64> announced_pref64s() const;
  [[nodiscard]] const std::vector<PortStatus>& ports() const { return ports_; }
  [[nodiscard]] const std::vector<std::unique_ptr<Worker>>& workers() const { return workers_; }
  [[nodiscard]] const EventSpool* events() const { return events_.get(); }
  void reopen_events() {
    if (events_) events_->reopen();
  }
  [[nodiscard]] const Steering& steering() const { return *steering_; }
  [[nodiscard]] NetlinkWatcher::Readings network_readings(Reading what) const {
    return watcher_->readings(what);
  }
  // Of the kernel, that differed from ours so far and were mended: missing, and too many.
  [[nodiscard]] std::pair<std::uint64_t, std::uint64_t> mended_routes() const {
    return {routes_missing_.load(std::memory_order_relaxed),
            routes_unexpected_.load(std::memory_order_relaxed)};
  }
  [[nodiscard]] std::vector<LeasedAddress> leases() const;
  [[nodiscard]] Allocation allocation() const;                 // what of it is in use
  [[nodiscard]] std::shared_ptr<const Policy> policy() const;  // null: none runs yet

 private:
  struct Targets {
    std::set<Ipv6Prefix> prefixes;
    std::set<Ipv4Prefix> addresses;
    std::set<Ipv4Prefix> backstops4;  // the addresses, and the whole pools that they come from
  };

  Gateway() = default;
  [[nodiscard]] Result<void, std::string> open_all(StartupConfig config);
  [[nodiscard]] Result<void, std::string> open_ports(const StartupConfig& config);
  [[nodiscard]] Result<WorkerPort, std::string> find_port(const std::string& name, XdpMode wanted) const;
  [[nodiscard]] Result<void, std::string> open_device(std::size_t port);
  [[nodiscard]] Result<void, std::string> attach(std::size_t port);
  [[nodiscard]] Result<void, std::string> steer(std::size_t port, const MacAddress& mac);
  [[nodiscard]] Result<void, std::string> open_workers(const StartupConfig& config);
  [[nodiscard]] Result<void, std::string> open_worker(WorkerOptions options);
  [[nodiscard]] Applied apply(std::shared_ptr<const Policy> whole, const Allocation& leased);
  [[nodiscard]] Targets targets_of(const Policy& policy, const Allocation& allocation) const;
  [[nodiscard]] Targets not_running(Targets targets) const;
  [[nodiscard]] std::optional<Violation> refusal(const Policy& policy, const Targets& targets,
                                                 const NetworkView& view) const;
  // One for each worker: they differ in what they own.
  using Runtimes = std::vector<std::shared_ptr<const Runtime>>;
  [[nodiscard]] Result<Runtimes, Rejection> make_runtimes(const Policy& policy, const Allocation& allocation,
                                                          RuntimeOptions options) const;
  [[nodiscard]] Applied switch_to(const Runtimes& runtimes, const Targets& targets,
                                  std::optional<TimePoint> stop, const NetworkView& view);
  void switch_back(const NetworkView& view);
  void remember(const UsableLeases& usable);
  [[nodiscard]] bool run_everywhere(const Runtimes& runtimes);
  [[nodiscard]] RuntimeOptions runtime_options(const Policy& policy) const;
  [[nodiscard]] Result<void, std::string> open_node(StartupConfig& config);
  [[nodiscard]] PoolKind pool_kind() const { return node_ ? PoolKind::kNodeLocal : PoolKind::kLeased; }
  void tend_node();
  void tend_routes();
  [[nodiscard]] Result<void, std::string> open_announcers(const StartupConfig& config);
  [[nodiscard]] Result<void, std::string> announce(const Targets& targets);
  void warn_of_missing_addresses() const;
  void on_network_change(const NetworkView& view);
  void look_at_ports(const NetworkView& view);
  void look_for_conflicts(const NetworkView& view);
  void on_lease_deadlines(const std::vector<LeaseDeadline>& deadlines);
  void guard_leases();
  void stop_guard();
  void set_stop(std::optional<TimePoint> stop);
  void fill_report(v1::Report& report) const;
  [[nodiscard]] bool probe_unanswered() const;
  [[nodiscard]] std::vector<Ipv4Address> leases_held() const;
  [[nodiscard]] bool gave_up(Ipv4Address address, TimePoint now) const;

  std::vector<PortStatus> ports_;
  std::vector<WorkerPort> worker_ports_;
  UniqueFd namespace_lock_;
  HashKey key_{};
  bool busy_poll_ = false;
  bool answers_arp_ = false;      // also while it drains and no longer does
  std::uint32_t frame_size_ = 0;  // of the workers, bytes
  std::shared_ptr<BlockShare> blocks_ = std::make_shared<BlockShare>();
  std::unique_ptr<NetlinkWatcher> watcher_;
  std::unique_ptr<KernelRoutes> routes_;
  std::unique_ptr<Steering> steering_;
  std::unique_ptr<AnnouncedRoutes> announced_;  // null: not wanted
  std::unique_ptr<ArpResponder> arp_;           // null: not wanted
  std::unique_ptr<RouterListener> routers_;     // null: node mode
  std::unique_ptr<NodeMode> node_;              // null: gateway mode
  MasqueradeWatch sources_;                     // node mode
  std::unique_ptr<EventSpool> events_;          // null: events are not kept
  std::vector<std::unique_ptr<Worker>> workers_;

  std::atomic<std::uint64_t> routes_missing_{0};     // so far, put back
  std::atomic<std::uint64_t> routes_unexpected_{0};  // so far, taken away

  mutable std::mutex mutex_;  // what follows, and routes_ and steering_
  std::shared_ptr<const Policy> policy_;
  std::shared_ptr<const Policy> own_policy_;  // what of it concerns this node
  Allocation leased_;                         // as the controller said
  Allocation allocation_;                     // what of it is in use
  std::vector<LeaseDeadline> deadlines_;
  std::optional<TimePoint> stop_;         // of the workers
  std::optional<TimePoint> next_change_;  // of what is in use, if no renewal comes
  std::condition_variable leases_changed_;
  bool stopping_ = false;
  std::thread guard_;
  bool allocated_ = false;
  TimePoint node_tended_{};
  TimePoint routes_tended_{};
  std::map<Ipv4Address, TimePoint> withdrawn_since_;
  RuntimeOptions applied_options_;
  bool shutting_down_ = false;
  std::string problem_;
  std::string port_problem_;
  std::string conflict_;
  std::string queues_problem_;           // as of the last look, part of port_problem_
  std::map<int, Interface> interfaces_;  // when conflict_ was looked for
  bool ports_running_ = true;            // all of them; else nothing is announced
  std::string lost_interface_;
};

}  // namespace isthmus::nat64
