// SPDX-License-Identifier: Apache-2.0
// What changes around the gateway, told by the kernel or found when looked at: interfaces, leases that end,
// rules and routes that others take away.
#include <signal.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "nat64-svc/shell/ethtool.hpp"
#include "nat64-svc/shell/gateway.hpp"
#include "nat64-svc/shell/node/node_policy.hpp"
#include "nat64-svc/shell/port_health.hpp"

namespace isthmus::nat64 {

// Link addresses, own addresses and MTUs may have changed; workers pick up routes and neighbours by
// themselves.
void Gateway::on_network_change(const NetworkView& view) {
  for (const auto& worker : workers_) worker->wake();
  const std::lock_guard lock(mutex_);
  const auto before = std::exchange(problem_, {});
  for (std::size_t port = 0; port < worker_ports_.size(); ++port) {
    const auto* interface = view.interface(worker_ports_[port].interface_index);
    if (interface == nullptr) {
      if (lost_interface_.empty()) {
        lost_interface_ = worker_ports_[port].interface;
        kill(getpid(), SIGTERM);
      }
      continue;
    }
    if (auto done = steer(port, interface->mac); !done) problem_ = done.error();
    if (arp_ && port + 1 == worker_ports_.size()) arp_->set_mac(interface->mac);
  }
  if (!problem_.empty() && problem_ != before) spdlog::error("{}", problem_);
  look_at_ports(view);
  if (!policy_) return;
  if (node_ && problem_.empty()) problem_ = node_->refusal(*own_policy_, view);
  // Not for each neighbour: it looks at every route.
  if (!node_ && interfaces_ != view.interfaces()) look_for_conflicts(view);
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

// While an interface carries nothing, clients must not be led here: the routes that announce us are
// withdrawn.
void Gateway::look_at_ports(const NetworkView& view) {
  const auto before = std::exchange(port_problem_, {});
  ports_running_ = true;
  for (const auto& port : worker_ports_) {
    const auto* interface = view.interface(port.interface_index);
    ports_running_ = ports_running_ && interface != nullptr && interface->running;
    if (port_problem_.empty()) port_problem_ = port_problem(port.interface, interface, frame_size_);
  }
  if (port_problem_.empty()) port_problem_ = queues_problem_;
  if (!port_problem_.empty() && port_problem_ != before) spdlog::error("{}", port_problem_);
  if (port_problem_.empty() && !before.empty()) spdlog::info("no longer: {}", before);
  if (!announced_ || !policy_) return;
  if (!ports_running_) return announced_->keep_only({}, {});
  const auto targets = targets_of(*own_policy_, allocation_);
  if (auto added = announced_->add(targets.prefixes, targets.addresses); !added)
    spdlog::error("routes: {}", added.error());
}

// An address of our own or a router may have become one that we take the packets of: too late to refuse it.
void Gateway::look_for_conflicts(const NetworkView& view) {
  interfaces_ = view.interfaces();
  const auto conflict = refusal(*own_policy_, targets_of(*own_policy_, allocation_), view);
  const auto before = std::exchange(conflict_, conflict ? conflict->path + ": " + conflict->message : "");
  if (!conflict_.empty() && conflict_ != before) spdlog::error("{}", conflict_);
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
  queues_problem_.clear();
  for (const auto& port : worker_ports_) {  // nobody tells of queues
    if (queues_problem_.empty()) queues_problem_ = queues_problem(port, known_queue_count(port.device));
  }
  const auto view = watcher_->view().get();
  look_at_ports(*view);
  if (!node_) look_for_conflicts(*view);
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
