// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/gateway.hpp"

#include <signal.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <thread>
#include <utility>

#include "nat64-svc/shell/node/node_policy.hpp"

namespace isthmus::nat64 {
namespace {

constexpr std::chrono::seconds kApplyPatience{5};

Applied node_cannot(std::string path, std::string message) {
  return failure(Rejection{Rejection::Kind::kNodeCannot, {{std::move(path), std::move(message)}}});
}

}  // namespace

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

Gateway::Targets Gateway::targets_of(const Policy& policy, const Allocation& allocation) const {
  Targets targets;
  for (const auto& prefix : policy.translation_prefixes) targets.prefixes.insert(prefix.prefix);
  for (const auto& lease : allocation.addresses) targets.addresses.insert(Ipv4Prefix{lease.address, 32});
  if (node_) {
    for (const auto& pool : pool_prefixes(policy)) targets.addresses.insert(pool);
  }
  targets.backstops4 = targets.addresses;
  // What of a pool is not ours now would follow the default route, and come back. Not on a link, where
  // others have the rest of it.
  if (!answers_arp_) {
    for (const auto& pool : pool_prefixes(policy)) targets.backstops4.insert(pool);
  }
  return targets;
}

Result<Gateway::Runtimes, Rejection> Gateway::make_runtimes(const Policy& policy,
                                                            const Allocation& allocation,
                                                            RuntimeOptions options) const {
  Runtimes runtimes;
  for (const auto& worker : workers_) {
    options.worker = worker->index();
    auto runtime = make_runtime(policy, allocation, options);
    if (!runtime) return failure(Rejection{Rejection::Kind::kInvalidConfig, runtime.error()});
    runtimes.push_back(std::move(*runtime));
  }
  return runtimes;
}

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
  auto options = runtime_options(*policy);
  options.workers = static_cast<std::uint16_t>(workers_.size());
  options.blocks = blocks_;
  const auto runtimes = make_runtimes(*policy, usable.allocation, options);
  if (!runtimes) return failure(runtimes.error());
  if (auto switched = switch_to(*runtimes, targets_of(*policy, usable.allocation), usable.stop, *view);
      !switched)
    return switched;
  remember(usable);
  policy_ = std::move(whole);
  own_policy_ = policy;
  leased_ = leased;
  applied_options_ = options;
  return {};
}

// Order: what is new gets its route before anybody can send to it, then the workers know it, then the kernel
// steers it. What goes is no longer steered before its route is removed. So no packet to a prefix or pool
// address of ours is ever forwarded by the kernel.
Applied Gateway::switch_to(const Runtimes& runtimes, const Targets& targets, std::optional<TimePoint> stop,
                           const NetworkView& view) {
  if (node_) {
    if (auto filtered = node_->filter(targets.addresses); !filtered)
      return node_cannot("nftables", filtered.error());
  }
  if (auto added = routes_->add(targets.prefixes, targets.backstops4); !added)
    return node_cannot("routes", added.error());
  if (announced_) announced_->keep_only(targets.prefixes, targets.addresses);
  // The workers' own deadline is never later than what they run allows.
  if (stop && (!stop_ || *stop < *stop_)) set_stop(stop);
  if (!run_everywhere(runtimes))
    return node_cannot("workers", "do not take up a new policy: restart nat64-svc on this node");
  if (auto steered = steering_->set_targets(targets.prefixes, targets.addresses); !steered)
    return node_cannot("steering", steered.error());
  if (node_) {
    if (auto routed = node_->route(targets.prefixes, targets.addresses, view); !routed)
      return node_cannot("routes", routed.error());
  }
  if (auto announced = announce(targets); !announced) return node_cannot("routes", announced.error());
  routes_->keep_only(targets.prefixes, targets.backstops4);
  return {};
}

// What runs now, and since when its withdrawn addresses are so.
void Gateway::remember(const UsableLeases& usable) {
  std::map<Ipv4Address, TimePoint> withdrawn;
  for (const auto& lease : usable.allocation.addresses) {
    if (!lease.withdrawn) continue;
    const auto before = withdrawn_since_.find(lease.address);
    withdrawn[lease.address] = before != withdrawn_since_.end() ? before->second : boot_now();
  }
  withdrawn_since_ = std::move(withdrawn);
  set_stop(usable.stop);
  next_change_ = usable.next_change;
  leases_changed_.notify_one();
  node_tended_ = boot_now();
  allocation_ = usable.allocation;
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
  const auto before = std::exchange(problem_, {});
  for (std::size_t port = 0; port < worker_ports_.size(); ++port) {
    const auto* interface = view.interface(worker_ports_[port].interface_index);
    if (interface == nullptr || !interface->up) {
      problem_ =
          "interface " + worker_ports_[port].interface + (interface == nullptr ? " is gone" : " is down");
      if (interface == nullptr && lost_interface_.empty()) {
        lost_interface_ = worker_ports_[port].interface;
        kill(getpid(), SIGTERM);
      }
      continue;
    }
    if (auto done = steer(port, interface->mac); !done) problem_ = done.error();
    if (frame_size_for_mtu(interface->mtu).value_or(UINT32_MAX) > frame_size_) {
      problem_ = "the MTU of " + worker_ports_[port].interface + " has become " +
                 std::to_string(interface->mtu) +
                 ", and what is longer than the frames of this process is lost: restart nat64-svc";
    }
    if (arp_ && port + 1 == worker_ports_.size()) arp_->set_mac(interface->mac);
  }
  if (!problem_.empty() && problem_ != before) spdlog::error("{}", problem_);
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
    tend_routes();
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

// Others may change the kernel's routes; a leased address without its route is unreachable, or worse,
// forwarded.
void Gateway::tend_routes() {
  constexpr std::chrono::seconds kEvery{15};
  if (boot_now() - routes_tended_ < kEvery || !policy_) return;
  routes_tended_ = boot_now();
  RouteDifference difference;
  const auto note = [&](const Result<RouteDifference, std::string>& mended) {
    if (mended)
      difference += *mended;
    else
      spdlog::warn("routes: {}", mended.error());
  };
  note(routes_->mend());
  if (announced_) note(announced_->mend());
  if (difference.missing + difference.unexpected == 0) return;
  routes_missing_.fetch_add(difference.missing, std::memory_order_relaxed);
  routes_unexpected_.fetch_add(difference.unexpected, std::memory_order_relaxed);
  spdlog::warn(
      "routes with proto {} in the main table differed from ours and were mended: {} were missing, {} too "
      "many; "
      "something on this node changes them",
      int{kRouteProtocol}, difference.missing, difference.unexpected);
}

void Gateway::stop_guard() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  leases_changed_.notify_one();
  if (guard_.joinable()) guard_.join();
}

}  // namespace isthmus::nat64
