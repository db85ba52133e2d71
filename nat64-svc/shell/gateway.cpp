// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/gateway.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <thread>
#include <utility>

#include "nat64-svc/shell/node/node_policy.hpp"
#include "nat64-svc/shell/target_conflict.hpp"

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
  shutting_down_ = true;
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

// What runs already is not refused for an address that the machine got since: its leases must end in time.
Gateway::Targets Gateway::not_running(Targets targets) const {
  if (!own_policy_) return targets;
  const auto running = targets_of(*own_policy_, allocation_);
  std::erase_if(targets.prefixes, [&](const auto& prefix) { return running.prefixes.contains(prefix); });
  std::erase_if(targets.addresses, [&](const auto& address) { return running.addresses.contains(address); });
  return targets;
}

// Nothing, or why this machine cannot run that.
std::optional<Violation> Gateway::refusal(const Policy& policy, const Targets& targets,
                                          const NetworkView& view) const {
  if (node_) {
    auto refused = node_->refusal(policy, view);
    return refused.empty() ? std::nullopt : std::optional(Violation{"pools", std::move(refused)});
  }
  const auto arp = answers_arp_ ? std::optional(worker_ports_.back().interface_index) : std::nullopt;
  return target_conflict(view, targets.prefixes, targets.addresses, arp);
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
  const auto usable = usable_leases(allocation_for(pool_kind(), *whole, leased), deadlines_, boot_now());
  const auto targets = targets_of(*policy, usable.allocation);
  if (auto refused = refusal(*policy, not_running(targets), *view))
    return node_cannot(std::move(refused->path), std::move(refused->message));
  auto options = runtime_options(*policy);
  options.workers = static_cast<std::uint16_t>(workers_.size());
  options.blocks = blocks_;
  const auto runtimes = make_runtimes(*policy, usable.allocation, options);
  if (!runtimes) return failure(runtimes.error());
  if (auto switched = switch_to(*runtimes, targets, usable.stop, *view); !switched) {
    switch_back(*view);
    return switched;
  }
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

// A switch that failed half way: what ran before keeps running, as far as its leases allow by now.
void Gateway::switch_back(const NetworkView& view) {
  if (!own_policy_) {  // nothing did: the kernel has all packets again
    if (auto none = steering_->set_targets({}, {}); !none) spdlog::error("steering: {}", none.error());
    if (arp_) arp_->set_addresses({});
    if (announced_) announced_->keep_only({}, {});
    return routes_->keep_only({}, {});
  }
  const auto usable = usable_leases(allocation_, deadlines_, boot_now());
  const auto runtimes = make_runtimes(*own_policy_, usable.allocation, applied_options_);
  const auto targets = targets_of(*own_policy_, usable.allocation);
  const auto switched =
      runtimes ? switch_to(*runtimes, targets, usable.stop, view) : Applied{failure(runtimes.error())};
  if (switched) return remember(usable);
  const auto& first = switched.error().violations.front();
  spdlog::error("what ran before cannot be taken up again: {}: {}", first.path, first.message);
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
  if (announced_ && ports_running_) return announced_->add(targets.prefixes, targets.addresses);
  return {};
}

bool Gateway::run_everywhere(const Runtimes& runtimes) {
  std::vector<std::uint64_t> wanted;
  wanted.reserve(workers_.size());
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

}  // namespace isthmus::nat64
