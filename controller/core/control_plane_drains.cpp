// SPDX-License-Identifier: Apache-2.0
// A gateway that leaves service, step by step (drain.hpp), and comes back.
#include <algorithm>
#include <utility>

#include "controller/core/control_plane.hpp"

namespace isthmus::controller {

const Drain* ControlPlane::drain_of(const std::string& node_id) const {
  const auto it = drains_.find(node_id);
  return it == drains_.end() ? nullptr : &it->second;
}

void ControlPlane::drain(Drain drain, TimePoint now) {
  drain.stage = DrainStage::kLeavingAnswers;
  drain.since = now;
  const auto node_id = drain.node_id;
  if (!drains_.emplace(node_id, std::move(drain)).second) return;
  out_.changed_drains.insert(node_id);
  replan_ = true;
  note(EventKind::kDrain, node_id, "begins: no new DNS answers name it");
}

void ControlPlane::undrain(const std::string& node_id, TimePoint now) {
  if (drains_.erase(node_id) == 0) return;
  out_.changed_drains.insert(node_id);
  const auto service = services_.find({ServiceKind::kNat64, node_id});
  if (service != services_.end()) {
    const auto holder = service->second.holder();
    const auto held = leases_.held_by(holder);
    for (const auto address : held) (void)leases_.resume(address, now);
    leases_.touch(holder);
  }
  replan_ = true;
  note(EventKind::kDrain, node_id, "ended: it is in service again");
}

TimePoint ControlPlane::answers_until(const Drain& drain) const {
  return policy_.last_answer(Assignment::kPerNode, drain.since);
}

// A service that is not connected may go on naming the node as long as it is cut off; nobody can wait for
// that.
bool ControlPlane::in_answers(const std::string& node_id) const {
  if (health_.published().contains(node_id)) return true;
  return std::ranges::any_of(services_, [&](const auto& entry) {
    const auto& [key, service] = entry;
    const Rollout& health = service.rollout[index_of(Resource::kHealth)];
    return key.first == ServiceKind::kDns64 && service.connected() &&
           (health.state() != RolloutState::kApplied || health.wanted() != health_version_);
  });
}

void ControlPlane::advance_drains(TimePoint now) {
  for (auto& [node_id, drain] : drains_) {
    const auto service = services_.find({ServiceKind::kNat64, node_id});
    const auto held =
        service == services_.end() ? std::set<Ipv4Address>{} : leases_.held_by(service->second.holder());
    const DrainFacts facts{in_answers(node_id), answers_until(drain), held.size()};
    const auto stage = next_stage(drain, facts, now);
    if (stage != drain.stage) {
      drain.stage = stage;
      drain.since = now;
      out_.changed_drains.insert(node_id);
      if (service != services_.end()) leases_.touch(service->second.holder());
      note(EventKind::kDrain, node_id, std::string(kDrainStageNames[stage]));
    }
    if (drain.stage != DrainStage::kReleasing) continue;
    for (const auto address : held) {
      if (leases_.withdraw(address, now)) note(EventKind::kWithdrawn, node_id, address.to_string());
    }
  }
}

}  // namespace isthmus::controller
