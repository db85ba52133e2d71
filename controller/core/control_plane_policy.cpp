// SPDX-License-Identifier: Apache-2.0
// How a policy goes out, wave by wave.
#include <algorithm>
#include <utility>

#include "controller/core/control_plane.hpp"

namespace isthmus::controller {

void ControlPlane::set_policy(std::shared_ptr<const Policy> policy, TimePoint now) {
  set_policy(PolicySteps{.target = {std::move(policy), nullptr}, .bridge = {}, .interim = {}, .retired = {}},
             now);
}

void ControlPlane::set_policy(PolicySteps steps, TimePoint now) {
  policy_.begin(std::move(steps), now);
  policy_begins(now);
}

void ControlPlane::resume_policy(PolicyRollout rollout, TimePoint now) {
  policy_ = std::move(rollout);
  // Services are not back yet, and of DNS64 services the store knows nothing: waves must not go past them,
  // least of all past one that refused.
  rollout_from_ = start_ + settings_.adopt_grace;
  policy_begins(now);
}

void ControlPlane::policy_begins(TimePoint now) {
  stopped_noted_ = false;
  // A controller that has just begun knows nodes that are not back yet: it must not go on without them.
  if (services_.empty() && !known_nodes_.empty()) rollout_from_ = start_ + settings_.adopt_grace;
  use_pools_and_prefixes(now);
  note(EventKind::kPolicy, "",
       "policy " + policy_.target_version().to_string() + " goes out" +
           (policy_.phase() == RolloutPhase::kDone ? "" : " in waves"));
}

// What is leased and which parents are cut up follow the policy once every node runs it, and the parents from
// the moment that the first may.
void ControlPlane::use_pools_and_prefixes(TimePoint now) {
  std::vector<const Policy*> policies;
  for (const auto kind : {ServiceKind::kNat64, ServiceKind::kDns64}) {
    for (const auto* text : {&policy_.base(kind), &policy_.next(kind)}) {
      if (!text->empty()) policies.push_back(text->policy.get());
    }
  }
  prefixes_.set_policies(policies);
  if (const auto& reached = policy_.nat64_runs().policy; reached != nullptr && reached != pools_of_) {
    pools_of_ = reached;
    leases_.set_pools(pools_of_->pools, now);
  }
  for (const auto& [key, service] : services_) {
    if (key.first == ServiceKind::kNat64) leases_.touch(service.holder());  // prefixes may have changed
  }
  replan_ = true;
}

void ControlPlane::advance_policy(TimePoint now) {
  while (policy_.phase() != RolloutPhase::kDone && now >= std::max(rollout_from_, admission_.busy_until())) {
    std::vector<Waves::Member> members;
    for (const auto& [key, service] : services_) {
      if (service.left) continue;
      const Rollout& rollout = service.rollout[index_of(Resource::kPolicy)];
      const Version next = policy_.next_version(key.first);
      const bool refused = rollout.state() == RolloutState::kRejected && rollout.wanted() == next;
      members.push_back({key, !service.connected()        ? Waves::State::kLost
                              : rollout.running() == next ? Waves::State::kApplied
                              : refused                   ? Waves::State::kRejected
                                                          : Waves::State::kWaits});
    }
    const bool moved = policy_.step(members, now);
    const auto* waves = policy_.waves();
    const bool stopped = waves != nullptr && !waves->stopped_by().empty();
    if (stopped && !std::exchange(stopped_noted_, true)) {
      const auto& [key, state] = *waves->stopped_by().begin();
      note(EventKind::kRolloutStopped, key.second,
           "policy " + policy_.target_version().to_string() + " goes no further: this service " +
               (state == Waves::State::kRejected ? "refused it" : "was lost after it was sent"));
    }
    if (!stopped) stopped_noted_ = false;
    if (!moved) return;
    note(EventKind::kRollout, "",
         "policy " + policy_.target_version().to_string() + ": " +
             std::string(kRolloutPhaseNames[policy_.phase()]));
    use_pools_and_prefixes(now);
  }
}

}  // namespace isthmus::controller
