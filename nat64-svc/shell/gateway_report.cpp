// SPDX-License-Identifier: Apache-2.0
// What the data plane says of itself.
#include <algorithm>

#include "isthmus/v1/control.pb.h"
#include "nat64-svc/shell/gateway.hpp"

namespace isthmus::nat64 {

std::string Gateway::not_ready_because() const {
  const std::lock_guard lock(mutex_);
  if (shutting_down_) return "this process is shutting down";
  if (!policy_) return "no policy runs yet";
  if (!port_problem_.empty()) return port_problem_;
  if (node_) {
    if (!problem_.empty()) return problem_;
    if (watcher_->view().get()->uplink_route4() == nullptr)
      return "this node has no IPv4 default route: its pods are told that IPv4 is unreachable";
    return allocation_.draining ? "this node drains" : "";
  }
  if (!allocated_ || leased_.addresses.empty()) return "no address is allocated to this node";
  if (allocation_.addresses.empty()) return "the controller has not renewed the leases of this node";
  if (allocation_.draining) return "this node drains";
  return problem_.empty() ? conflict_ : problem_;
}

std::string Gateway::lost_interface() const {
  const std::lock_guard lock(mutex_);
  return lost_interface_;
}

std::optional<Gateway::NodeStatus> Gateway::node_status() const {
  if (!node_) return std::nullopt;
  const std::lock_guard lock(mutex_);
  return NodeStatus{watcher_->view().get()->uplink_route4() != nullptr, sources_.masqueraded()};
}

std::vector<Gateway::AnnouncedPref64> Gateway::announced_pref64s() const {
  std::vector<AnnouncedPref64> announced;
  const auto running = policy();
  if (!routers_ || !running) return announced;
  for (const auto& heard : routers_->heard()) announced.push_back({heard, is_ours(heard.prefix, *running)});
  return announced;
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

// One of the workers asks.
bool Gateway::probe_unanswered() const {
  return policy_ && policy_->nat64.probe && std::ranges::any_of(workers_, [](const auto& worker) {
           return worker->io().probe_state.get() == static_cast<std::uint64_t>(PathProbe::State::kUnanswered);
         });
}

void Gateway::fill_report(v1::Report& report) const {
  const auto problem = not_ready_because();
  report.set_serving(problem.empty());
  if (!problem.empty()) report.add_problems(problem);
  const std::lock_guard lock(mutex_);  // close() takes the workers away
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
      for (const auto& of_protocol : side.dropped) {
        for (const auto& reason : of_protocol) dropped += reason.get();
      }
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
  const auto runs = [&](const WorkerPort& port) {
    const auto* interface = view->interface(port.interface_index);
    return interface != nullptr && interface->running;
  };
  nat64.set_uplink6(runs(worker_ports_.front()));
  if (probe_unanswered()) {
    nat64.set_probe_unanswered(true);
    report.add_problems("the probe through the translation to " + policy_->nat64.probe->target4.to_string() +
                        " is not answered");
  }
  nat64.set_uplink4(node_ ? view->uplink_route4() != nullptr : runs(worker_ports_.back()));
}

}  // namespace isthmus::nat64
