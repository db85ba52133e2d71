// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/gateway.hpp"

#include <net/if.h>
#include <spdlog/spdlog.h>
#include <sys/random.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "isthmus/v1/control.pb.h"
#include "nat64-svc/shell/busy_poll_settings.hpp"
#include "nat64-svc/shell/node/node_policy.hpp"
#include "nat64-svc/shell/preflight.hpp"
#include "nat64-svc/shell/queue_count.hpp"
#include "nat64-svc/shell/xsk/steer_maps.h"

namespace isthmus::nat64 {
namespace {

constexpr std::chrono::seconds kApplyPatience{2};
constexpr const char* kAnnouncingInterface = "isthmus0";

Applied node_cannot(std::string path, std::string message) {
  return failure(Rejection{Rejection::Kind::kNodeCannot, {{std::move(path), std::move(message)}}});
}

}  // namespace

Result<std::unique_ptr<Gateway>, std::string> Gateway::open(const StartupConfig& config) {
  std::unique_ptr<Gateway> self(new Gateway);
  if (auto done = self->open_all(config); !done) {
    if (self->node_) self->node_->remove();
    return failure(done.error());
  }
  self->guard_ = std::thread([raw = self.get()] { raw->guard_leases(); });
  self->watcher_->start([raw = self.get()](const NetworkView& view) { raw->on_network_change(view); });
  return self;
}

Result<void, std::string> Gateway::open_all(StartupConfig config) {
  busy_poll_ = config.busy_poll > 0;
  auto lock = lock_network_namespace();
  if (!lock) return failure(lock.error());
  namespace_lock_ = std::move(*lock);
  for (auto* half : {&key_.k0, &key_.k1}) {
    if (getrandom(half, sizeof *half, 0) != sizeof *half) {
      return failure(std::string("the kernel gives no random bytes: run Linux 5.15 or newer"));
    }
  }
  auto watcher = NetlinkWatcher::open();
  if (!watcher) return failure(watcher.error());
  watcher_ = std::move(*watcher);
  auto routes = KernelRoutes::open();
  if (!routes) return failure(routes.error());
  routes_ = std::move(*routes);
  auto steering = Steering::load();
  if (!steering) return failure(steering.error());
  steering_ = std::move(*steering);
  if (config.mode == Mode::kNode) {
    if (auto done = open_node(config); !done) return done;
  }

  const bool one = config.one_interface();
  ports_.push_back({config.interface6, config.xdp_mode});
  if (auto done = open_announcers(config); !done) return done;
  if (auto done = open_port(STEER_PORT6, config.interface6, one ? Take::kBoth : Take::kV6); !done)
    return done;
  if (!one) {
    ports_.push_back({config.interface4, config.xdp_mode});
    if (auto done = open_port(STEER_PORT4, config.interface4, Take::kV4); !done) return done;
  }
  if (!config.events.empty() || !config.events_syslog.empty()) {
    auto events = EventSpool::open({config.events, config.events_syslog}, config.node_id, config.workers);
    if (!events) return failure(events.error());
    events_ = std::move(*events);
  }
  return open_workers(config);
}

Result<void, std::string> Gateway::open_announcers(const StartupConfig& config) {
  if (config.announce_routes) {
    auto announced = AnnouncedRoutes::open(kAnnouncingInterface);
    if (!announced) return failure(announced.error());
    announced_ = std::move(*announced);
  }
  if (config.answer_arp) {
    auto arp = ArpResponder::open(config.interface4);
    if (!arp) return failure(arp.error());
    arp_ = std::move(*arp);
  }
  return {};
}

// A pair of our own, with a queue for each worker; from here on it is used as any interface is.
Result<void, std::string> Gateway::open_node(StartupConfig& config) {
  auto node = NodeMode::open(config.workers, *watcher_->view().get());
  if (!node) return failure(node.error());
  node_ = std::move(*node);
  config.interface6 = config.interface4 = kOurEnd;
  if (!watcher_->refresh()) return failure(std::string("cannot read the kernel's interfaces"));
  return {};
}

Result<void, std::string> Gateway::open_port(std::uint32_t port, const std::string& name, Take take) {
  const int index = static_cast<int>(if_nametoindex(name.c_str()));
  const auto view = watcher_->view().get();
  const auto* interface = view->interface(index);
  if (index == 0 || interface == nullptr) {
    return failure("there is no interface " + name + ": ip link shows those that are");
  }
  if (!interface->up) return failure("interface " + name + " is down: ip link set " + name + " up");
  if (interface->mac == MacAddress{}) {
    return failure("interface " + name + " is no Ethernet: NAT64 needs an interface with a link address");
  }
  if (interface->kind == "bond") {
    return failure(name + " is a bond: AF_XDP sockets belong to queues of real interfaces; name one of its " +
                   "members, or use routed links with several gateways");
  }
  if (!frame_size_for_mtu(interface->mtu)) {
    return failure("the MTU of " + name + " is " + std::to_string(interface->mtu) +
                   ": AF_XDP takes at most " + std::to_string(kLargestMtu) + "; ip link set " + name +
                   " mtu " + std::to_string(kLargestMtu));
  }
  if (auto done = steering_->set_mac(port, interface->mac); !done) return done;
  const auto queues = queue_count(name);
  if (queues > STEER_MAX_QUEUES) {
    return failure(name + " has " + std::to_string(queues) + " queues, at most " +
                   std::to_string(STEER_MAX_QUEUES) + " can be used: ethtool -L " + name + " combined " +
                   std::to_string(STEER_MAX_QUEUES));
  }
  if (busy_poll_) {
    for (const auto& wrong : prepare_busy_poll(name, interface_files(name, index))) spdlog::warn("{}", wrong);
  }
  auto mode = steering_->attach(port, index, name, take, ports_[port].mode);
  if (!mode) return failure(mode.error());
  ports_[port].mode = *mode;
  WorkerPort worker_port{name, index, {}};
  for (std::uint32_t queue = 0; queue < queues; ++queue) worker_port.queues.push_back(queue);
  worker_ports_.push_back(std::move(worker_port));
  return {};
}

// Queue q of each interface goes to worker q modulo their number.
Result<void, std::string> Gateway::open_workers(const StartupConfig& config) {
  WorkerOptions options;
  options.busy_poll = config.busy_poll;
  options.limits.max_sessions = config.max_sessions;
  options.key = key_;
  if (node_) options.kernel_end = kKernelEndMac;
  const auto view = watcher_->view().get();
  for (std::size_t port = 0; port < ports_.size(); ++port) {
    const auto& name = ports_[port].interface;
    const auto* interface = view->interface(worker_ports_[port].interface_index);
    const auto size = interface != nullptr ? frame_size_for_mtu(interface->mtu) : std::nullopt;
    if (!size) return failure("interface " + name + " went away: start again when it is back");
    options.frame_size = std::max(options.frame_size, *size);
    if (ports_[port].mode == XdpMode::kGeneric) options.copy_only = true;
    const auto queues = worker_ports_[port].queues.size();
    if (queues < config.workers) {
      return failure(name + " has " + std::to_string(queues) + " queues, too few for " +
                     std::to_string(config.workers) + " workers: ethtool -L " + name +
                     " gives it more, or lower --workers");
    }
  }
  for (options.index = 0; options.index < config.workers; ++options.index) {
    if (events_) options.events = &events_->queue(options.index);
    options.ports = worker_ports_;
    for (auto& port : options.ports) {
      std::erase_if(port.queues,
                    [&](std::uint32_t queue) { return queue % config.workers != options.index; });
    }
    if (auto opened = open_worker(options); !opened) return opened;
  }
  std::vector<Worker*> peers;
  for (const auto& worker : workers_) peers.push_back(worker.get());
  for (const auto& worker : workers_) worker->connect(peers);
  for (const auto& worker : workers_) worker->start();
  return {};
}

Result<void, std::string> Gateway::open_worker(WorkerOptions options) {
  auto worker = Worker::create(std::move(options), *watcher_);
  if (!worker) return failure(worker.error());
  for (const auto& bound : (*worker)->sockets()) {
    const auto port = static_cast<std::uint32_t>(bound.port);
    if (auto done = steering_->set_socket(port, bound.queue, bound.socket->fd()); !done) return done;
    spdlog::info("{} queue {}: worker {}, XDP {}, {}", ports_[port].interface, bound.queue,
                 (*worker)->index(), kXdpModeNames[ports_[port].mode],
                 bound.socket->zero_copy() ? "zero copy" : "copy");
  }
  workers_.push_back(std::move(*worker));
  return {};
}

Gateway::~Gateway() {
  stop_guard();
  if (watcher_) watcher_->stop();  // its callback uses the rest
  for (const auto& worker : workers_)
    worker->stop();  // all, before one goes: they write into each other's rings
  workers_.clear();
}

void Gateway::stop_announcing() {
  const std::lock_guard lock(mutex_);
  announced_.reset();
  arp_.reset();
}

void Gateway::close() {
  stop_announcing();
  stop_guard();
  watcher_->stop();
  const std::lock_guard lock(mutex_);
  steering_.reset();  // first: from now on the kernel sees the packets and refuses them
  for (const auto& worker : workers_) worker->stop();
  workers_.clear();
  if (node_) node_->remove();
  routes_->clear();  // last: until here nothing can be forwarded untranslated
}

ServiceHandlers Gateway::handlers() {
  ServiceHandlers handlers;
  handlers.on_policy = [this](std::shared_ptr<const Policy> policy, Version version) {
    const std::lock_guard lock(mutex_);
    auto applied = apply(std::move(policy), leased_);
    if (applied) spdlog::info("runs policy {}", version.to_string());
    return applied;
  };
  handlers.on_allocation = [this](const Allocation& allocation, Version version) -> Applied {
    const std::lock_guard lock(mutex_);
    if (!policy_) return node_cannot("allocation", "came before a policy");
    auto applied = apply(policy_, allocation);
    if (!applied) return applied;
    allocated_ = true;
    spdlog::info("runs allocation {}: {} addresses", version.to_string(), allocation.addresses.size());
    return applied;
  };
  handlers.on_lease_deadlines = [this](const std::vector<LeaseDeadline>& d) { on_lease_deadlines(d); };
  handlers.fill_report = [this](v1::Report& report) { fill_report(report); };
  handlers.leases_held = [this] { return leases_held(); };
  return handlers;
}

RuntimeOptions Gateway::runtime_options(const Policy& policy) const {
  RuntimeOptions options;
  options.key = key_;
  const auto view = watcher_->view().get();
  if (node_) {
    node_->fill(options, policy, *view);
    return options;
  }
  if (const auto* six = view->interface(worker_ports_.front().interface_index)) {
    options.mtu6 = std::max<std::uint32_t>(six->mtu, 1280);
    if (!six->addresses6.empty()) options.own6 = six->addresses6.front();
  }
  if (const auto* four = view->interface(worker_ports_.back().interface_index)) {
    options.mtu4 = std::max<std::uint32_t>(four->mtu, 68);
    if (!four->addresses4.empty()) options.own4 = four->addresses4.front();
  }
  return options;
}

// Order: what is new gets its route before anybody can send to it, then the workers know it, then the kernel
// steers it. What goes is no longer steered before its route is removed. So no packet to a prefix or pool
// address of ours is ever forwarded by the kernel.
Applied Gateway::apply(std::shared_ptr<const Policy> whole, const Allocation& leased) {
  if (!steering_) return node_cannot("node", "is shutting down");
  const auto policy =
      whole == policy_ ? own_policy_ : std::make_shared<const Policy>(policy_for(pool_kind(), *whole));
  const auto view = watcher_->view().get();
  if (node_) {
    if (auto refusal = node_->refusal(*policy, *view); !refusal.empty())
      return node_cannot("pools", std::move(refusal));
  }
  const auto usable = usable_leases(allocation_for(pool_kind(), *whole, leased), deadlines_, boot_now());
  const auto& allocation = usable.allocation;
  auto options = runtime_options(*policy);
  options.workers = static_cast<std::uint16_t>(workers_.size());
  options.blocks = blocks_;
  Runtimes runtimes;
  for (const auto& worker : workers_) {
    options.worker = worker->index();
    auto runtime = make_runtime(*policy, allocation, options);
    if (!runtime) return failure(Rejection{Rejection::Kind::kInvalidConfig, runtime.error()});
    runtimes.push_back(std::move(*runtime));
  }
  Targets targets;
  for (const auto& prefix : policy->translation_prefixes) targets.prefixes.insert(prefix.prefix);
  for (const auto& lease : allocation.addresses) targets.addresses.insert(Ipv4Prefix{lease.address, 32});

  if (node_) {
    for (const auto& pool : pool_prefixes(*policy)) targets.addresses.insert(pool);
    if (auto filtered = node_->filter(targets.addresses); !filtered)
      return node_cannot("nftables", filtered.error());
  }
  if (auto added = routes_->add(targets.prefixes, targets.addresses); !added) {
    return node_cannot("routes", added.error());
  }
  if (announced_) announced_->keep_only(targets.prefixes, targets.addresses);
  // The workers' own deadline is never later than what they run allows.
  if (usable.stop && (!stop_ || *usable.stop < *stop_)) set_stop(usable.stop);
  if (!run_everywhere(runtimes)) {
    return node_cannot("workers", "do not take up a new policy: restart nat64-svc on this node");
  }
  if (auto steered = steering_->set_targets(targets.prefixes, targets.addresses); !steered) {
    return node_cannot("steering", steered.error());
  }
  if (node_) {
    if (auto routed = node_->route(targets.prefixes, targets.addresses, *view); !routed)
      return node_cannot("routes", routed.error());
  }
  if (auto announced = announce(targets); !announced) return node_cannot("routes", announced.error());
  routes_->keep_only(targets.prefixes, targets.addresses);

  std::map<Ipv4Address, TimePoint> withdrawn;
  for (const auto& lease : allocation.addresses) {
    if (!lease.withdrawn) continue;
    const auto before = withdrawn_since_.find(lease.address);
    withdrawn[lease.address] = before != withdrawn_since_.end() ? before->second : boot_now();
  }
  withdrawn_since_ = std::move(withdrawn);
  set_stop(usable.stop);
  next_change_ = usable.next_change;
  leases_changed_.notify_one();
  policy_ = std::move(whole);
  own_policy_ = policy;
  leased_ = leased;
  allocation_ = allocation;
  applied_options_ = options;
  return {};
}

// What is translated now may be sent to us.
Result<void, std::string> Gateway::announce(const Targets& targets) {
  if (arp_) {
    if (const auto* four = watcher_->view().get()->interface(worker_ports_.back().interface_index))
      arp_->set_mac(four->mac);
    std::set<Ipv4Address> addresses;
    for (const auto& address : targets.addresses) addresses.insert(address.address());
    arp_->set_addresses(addresses);
  }
  if (announced_) return announced_->add(targets.prefixes, targets.addresses);
  return {};
}

bool Gateway::run_everywhere(const Runtimes& runtimes) {
  std::vector<std::uint64_t> wanted;
  for (std::size_t i = 0; i < workers_.size(); ++i) wanted.push_back(workers_[i]->publish(runtimes[i]));
  const auto deadline = std::chrono::steady_clock::now() + kApplyPatience;
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    while (workers_[i]->running() < wanted[i]) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds{1});
    }
  }
  return true;
}

// Link addresses, own addresses and MTUs may have changed; workers pick up routes and neighbours by
// themselves.
void Gateway::on_network_change(const NetworkView& view) {
  for (const auto& worker : workers_) worker->wake();
  const std::lock_guard lock(mutex_);
  problem_.clear();
  for (std::size_t port = 0; port < worker_ports_.size(); ++port) {
    const auto* interface = view.interface(worker_ports_[port].interface_index);
    if (interface == nullptr || !interface->up) {
      problem_ =
          "interface " + worker_ports_[port].interface + (interface == nullptr ? " is gone" : " is down");
      continue;
    }
    if (auto done = steering_->set_mac(static_cast<std::uint32_t>(port), interface->mac); !done) {
      problem_ = done.error();
    }
    if (arp_ && port + 1 == worker_ports_.size()) arp_->set_mac(interface->mac);
  }
  if (!policy_) return;
  if (node_ && problem_.empty()) problem_ = node_->refusal(*own_policy_, view);
  const auto options = runtime_options(*own_policy_);
  const bool same = options.own6 == applied_options_.own6 && options.own4 == applied_options_.own4 &&
                    options.mtu6 == applied_options_.mtu6 && options.mtu4 == applied_options_.mtu4;
  if (same) return;
  spdlog::info("addresses or MTU of an interface changed");
  if (auto applied = apply(policy_, leased_); !applied) {
    const auto& first = applied.error().violations.front();
    problem_ = "after a change of the interfaces: " + first.path + ": " + first.message;
    spdlog::error("{}", problem_);
  }
}

void Gateway::set_stop(std::optional<TimePoint> stop) {
  stop_ = stop;
  for (const auto& worker : workers_) worker->set_stop(stop.value_or(TimePoint::max()));
}

// A renewal that changes nothing but times costs the workers one store.
void Gateway::on_lease_deadlines(const std::vector<LeaseDeadline>& deadlines) {
  const std::lock_guard lock(mutex_);
  deadlines_ = deadlines;
  const auto usable = usable_leases(policy_ ? allocation_for(pool_kind(), *policy_, leased_) : leased_,
                                    deadlines_, boot_now());
  if (usable.allocation == allocation_) {
    set_stop(usable.stop);
    next_change_ = usable.next_change;
    leases_changed_.notify_one();
  } else if (policy_) {
    if (auto applied = apply(policy_, leased_); !applied)
      spdlog::error("renewed leases could not be taken up");
  }
}

// Waits for the next deadline and takes the addresses away whose time is over. The workers stop by themselves
// when this thread is late.
void Gateway::guard_leases() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    constexpr std::chrono::milliseconds kLongest{
        500};  // the deadlines count time asleep, condition variables may not
    auto patience = std::chrono::duration_cast<std::chrono::milliseconds>(kLongest);
    if (next_change_) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(*next_change_ - boot_now());
      patience = std::clamp(left, std::chrono::milliseconds{1}, patience);
    }
    leases_changed_.wait_for(lock, patience);
    if (stopping_) return;
    if (node_) tend_node();
    if (!next_change_ || boot_now() < *next_change_) continue;
    next_change_.reset();
    spdlog::warn("the controller does not renew the leases in time");
    if (auto applied = apply(policy_, leased_); !applied)
      spdlog::error("leases that ended could not be taken away");
  }
}

// What nobody tells us of: rules and routes that others removed, and where packets come from.
void Gateway::tend_node() {
  constexpr std::chrono::seconds kEvery{5};
  if (boot_now() - node_tended_ < kEvery || !policy_) return;
  node_tended_ = boot_now();
  node_->mend(*watcher_->view().get());
  std::uint64_t sampled = 0, own = 0;
  for (const auto& worker : workers_) {
    sampled += worker->io().sampled_sources.get();
    own += worker->io().sampled_own_sources.get();
  }
  if (!sources_.look(sampled, own)) return;
  if (sources_.masqueraded()) {
    spdlog::warn(
        "every packet comes from an address of this node itself: the CNI hides the pods before their packets "
        "come here, so all pods share the ports of one subscriber; exclude the translation prefix from its "
        "IPv6 masquerade (docs/nat64.md)");
  } else {
    spdlog::info("packets come from the pods' own addresses again");
  }
}

void Gateway::stop_guard() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  leases_changed_.notify_one();
  if (guard_.joinable()) guard_.join();
}

std::string Gateway::not_ready_because() const {
  const std::lock_guard lock(mutex_);
  if (!policy_) return "no policy runs yet";
  if (node_) {
    if (!problem_.empty()) return problem_;
    if (watcher_->view().get()->uplink_route4() == nullptr)
      return "this node has no IPv4 default route: its pods are told that IPv4 is unreachable";
    return allocation_.draining ? "this node drains" : "";
  }
  if (!allocated_ || leased_.addresses.empty()) return "no address is allocated to this node";
  if (allocation_.addresses.empty()) return "the controller has not renewed the leases of this node";
  if (allocation_.draining) return "this node drains";
  return problem_;
}

std::optional<Gateway::NodeStatus> Gateway::node_status() const {
  if (!node_) return std::nullopt;
  const std::lock_guard lock(mutex_);
  return NodeStatus{watcher_->view().get()->uplink_route4() != nullptr, sources_.masqueraded()};
}

std::vector<LeasedAddress> Gateway::leases() const {
  const std::lock_guard lock(mutex_);
  return allocation_.addresses;
}

Allocation Gateway::allocation() const {
  const std::lock_guard lock(mutex_);
  return allocation_;
}

std::shared_ptr<const Policy> Gateway::policy() const {
  const std::lock_guard lock(mutex_);
  return policy_;
}

// A withdrawn address is given up at its deadline, or before when nothing runs on this node at all.
bool Gateway::gave_up(Ipv4Address address, TimePoint now) const {
  const auto since = withdrawn_since_.find(address);
  if (since == withdrawn_since_.end()) return false;
  std::uint64_t sessions = 0;
  for (const auto& worker : workers_) {
    for (const auto& count : worker->counters().sessions) sessions += count.get();
  }
  if (sessions == 0) return true;
  for (const auto& lease : allocation_.addresses) {
    if (lease.address == address && lease.withdraw_within)
      return now >= since->second + *lease.withdraw_within;
  }
  return false;
}

std::vector<Ipv4Address> Gateway::leases_held() const {
  const std::lock_guard lock(mutex_);
  std::vector<Ipv4Address> held;
  for (const auto& lease : allocation_.addresses) {
    if (!gave_up(lease.address, boot_now())) held.push_back(lease.address);
  }
  return held;
}

void Gateway::fill_report(v1::Report& report) const {
  const auto problem = not_ready_because();
  report.set_serving(problem.empty());
  if (!problem.empty()) report.add_problems(problem);
  auto& nat64 = *report.mutable_nat64();
  std::uint64_t sessions = 0, bib = 0, used = 0, total = 0, translated = 0, dropped = 0;
  for (const auto& worker : workers_) {
    const auto& counters = worker->counters();
    for (std::size_t p = 0; p < kProtocols; ++p) {
      sessions += counters.sessions[p].get();
      bib += counters.bib_entries[p].get();
      for (const auto& side : counters.side) translated += side.translated_packets[p].get();
    }
    used += counters.blocks_used.get();
    total += counters.blocks_total.get();
    for (const auto& side : counters.side) {
      for (const auto& reason : side.dropped) dropped += reason.get();
    }
    for (const auto& reason : worker->io().dropped) dropped += reason.get();
  }
  nat64.set_sessions(sessions);
  nat64.set_bib_entries(bib);
  nat64.set_blocks_used(used);
  nat64.set_blocks_total(total);
  nat64.set_packets_translated(translated);
  nat64.set_packets_dropped(dropped);
  const auto view = watcher_->view().get();
  const auto up = [&](const WorkerPort& port) {
    const auto* interface = view->interface(port.interface_index);
    return interface != nullptr && interface->up;
  };
  nat64.set_uplink6(up(worker_ports_.front()));
  nat64.set_uplink4(node_ ? view->uplink_route4() != nullptr : up(worker_ports_.back()));
}

}  // namespace isthmus::nat64
