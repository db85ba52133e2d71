// SPDX-License-Identifier: Apache-2.0
#include "controller/core/control_plane.hpp"

#include <utility>

namespace isthmus::controller {
namespace {

using std::chrono::seconds;

constexpr Duration kRivalMemory = seconds{10};

}  // namespace

ControlPlane::ControlPlane(Settings settings, Memory memory, TimePoint start)
    : settings_(settings),
      epoch_(memory.epoch),
      epoch_at_start_(memory.epoch),
      start_(start),
      settling_(memory.settling),
      policy_(settings.waves, memory.epoch),
      admission_(settings.hellos_per_second) {
  for (const auto& drain : memory.drains) drains_.emplace(drain.node_id, drain);
  for (const auto& lease : memory.leases) leases_.restore(lease, start, settling_);
  for (auto& [holder, node] : memory.nodes) {
    awaited_.insert(holder);
    known_nodes_.emplace(std::move(holder), std::move(node));
  }
  if (!settling_) leases_.trust();
}

void ControlPlane::note(EventKind kind, const std::string& node_id, std::string text) {
  out_.events.push_back({kind, node_id, std::move(text)});
}

Outcome ControlPlane::take() {
  out_.changed_leases = leases_.take_changes();
  out_.changed_nodes = std::exchange(changed_nodes_, {});
  return std::exchange(out_, {});
}

void ControlPlane::settle(TimePoint now) {
  expire(now);
  advance_policy(now);
  advance_drains(now);
  if (settling_) settle_down(now);
  if (!settling_) plan(now);
  // A controller that has just begun does not take the nodes that did not come back yet for dead: they try
  // again every five seconds at the latest.
  if (awaited_.empty() || now >= all_could_come() + settings_.liveness + seconds{2}) publish_health();
  for (auto& [key, service] : services_) {
    if (service.connected()) update(service, now);
  }
}

void ControlPlane::expire(TimePoint now) {
  for (const auto& lease : leases_.tick(now)) {
    note(EventKind::kExpired, lease.holder.node_id, lease.address.to_string() + " was not renewed");
  }
  for (auto it = services_.begin(); it != services_.end();) {
    ServiceRecord& service = it->second;
    std::erase_if(service.rivals, [&](const auto& rival) { return now - rival.second > kRivalMemory; });
    if (service.connected() && now - service.last_heard > settings_.liveness) {
      note(EventKind::kSilent, service.hello.node_id, "nothing heard; it serves on with what it has");
      out_.actions.emplace_back(EndSession{service.session, "nothing heard from you", {}});
      disconnect(service);
    }
    const bool forget = !service.connected() && now - service.last_heard > settings_.forget_after &&
                        leases_.held_by(service.holder()).empty();
    if (forget) {
      prefixes_.forget(service.hello.node_id);
      if (it->first.first == ServiceKind::kNat64) leases_.forget(service.holder());
    }
    it = forget ? services_.erase(it) : std::next(it);
  }
  if (settling_) return;  // it may hold what a restored store does not know
  std::vector<Holder> gone;
  for (const auto& [holder, node] : known_nodes_) {
    if (now - node.last_heard > settings_.forget_after && leases_.held_by(holder).empty())
      gone.push_back(holder);
  }
  for (const auto& holder : gone) forget_node(holder);
}

void ControlPlane::update(ServiceRecord& service, TimePoint now) {
  const auto* edition = policy_.wanted({service.hello.kind, service.hello.node_id});
  if (edition == nullptr) return;
  service.rollout[index_of(Resource::kPolicy)].want(edition->version);
  if (service.hello.kind == ServiceKind::kNat64) {
    service.rollout[index_of(Resource::kAllocation)].want({epoch_, leases_.revision_of(service.holder())});
  } else {
    if (healthy_set_ != nullptr) service.rollout[index_of(Resource::kHealth)].want(health_version_);
  }
  for (const auto resource : {Resource::kPolicy, Resource::kAllocation, Resource::kHealth}) {
    if (service.rollout[index_of(resource)].due(now)) send(service, resource);
  }
}

void ControlPlane::send(ServiceRecord& service, Resource resource) {
  Rollout& rollout = service.rollout[index_of(resource)];
  const std::uint64_t nonce = ++service.nonce;
  switch (resource) {
    case Resource::kPolicy:
      out_.actions.emplace_back(
          SendPolicy{service.session, nonce, rollout.wanted(),
                     policy_.wanted({service.hello.kind, service.hello.node_id})->text.wire});
      break;
    case Resource::kAllocation:
      out_.actions.emplace_back(
          SendAllocation{service.session, nonce, rollout.wanted(), allocation_of(service)});
      break;
    case Resource::kHealth:
      out_.actions.emplace_back(SendHealth{service.session, nonce, rollout.wanted(), healthy_set_});
      break;
    case Resource::kCount:
      return;
  }
  rollout.sent(nonce);
}

}  // namespace isthmus::controller
