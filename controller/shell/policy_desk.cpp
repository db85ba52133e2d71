// SPDX-License-Identifier: Apache-2.0
#include "controller/shell/policy_desk.hpp"

#include <utility>

#include "controller/core/in_use.hpp"
#include "controller/shell/policy_steps.hpp"

namespace isthmus::controller {
namespace {

bool same_text(const PolicyText& a, const PolicyText& b) {
  return a.wire->SerializeAsString() == b.wire->SerializeAsString();
}

bool any_nat64(const ControlPlane& core) {
  if (!core.known_nodes().empty()) return true;  // of a store, and not back yet
  for (const auto& [key, service] : core.services()) {
    if (key.first == ServiceKind::kNat64 && !service.left) return true;
  }
  return false;
}

// The rollout as it was when the store was written last: its versions are begun again, without a service, and
// who must have run what is known by the marks; so neither addresses nor prefixes in use are taken back on
// the way. `all`: also versions that were overtaken, of which some services may still give answers.
Result<PolicyRollout, std::string> replayed(PolicyRollout rollout, const DesiredState& desired,
                                            RolloutMarks marks, bool all, TimePoint now) {
  const auto* newest = desired.newest();
  if (newest == nullptr) return rollout;  // nothing was ever wanted
  const auto done = desired.find(marks.done);
  const PolicyEdit& base = done ? **done : *newest;
  for (const auto& edit : desired.edits()) {
    // When services stopped to run it is not kept: their answers may be a moment old.
    if (edit.number < base.number) rollout.remember(*edit.text.policy);
  }
  rollout.begin(PolicySteps{.target = base.text, .bridge = {}, .interim = {}, .retired = {}}, now);
  for (const auto& edit : desired.edits()) {
    if (edit.number <= base.number) continue;
    const bool reached = edit.number <= marks.nat64;
    const bool plays = edit.number == marks.nat64 || &edit == newest || (all && reached);
    if (reached && !plays) rollout.remember(*edit.text.policy);  // DNS64 services may run it
    if (!plays) continue;
    auto steps = plan_steps(rollout.base(ServiceKind::kNat64), rollout.base(ServiceKind::kDns64), edit.text);
    if (!steps)
      return failure("policy version " + std::to_string(edit.number) + ": " + steps.error()[0].message);
    auto& staged = steps->staged;
    if (reached) staged[static_cast<std::size_t>(ServiceKind::kNat64)] = false;
    if (edit.number <= marks.dns64) staged[static_cast<std::size_t>(ServiceKind::kDns64)] = false;
    rollout.begin(std::move(*steps), now);
  }
  return rollout;
}

}  // namespace

std::vector<Violation> ProposalRefused::as_violations() const {
  if (!refusal) return violations;
  return {{"", refusal->message}};
}

Result<std::uint64_t, ProposalRefused> PolicyDesk::propose(ControlPlane& core, Proposal proposal,
                                                           WallTime time, TimePoint now) {
  const auto* newest = desired_.newest();
  if (newest != nullptr && proposal.from == desired_.origin() && !proposal.if_version &&
      same_text(newest->text, proposal.text)) {
    return newest->number;
  }
  if (const auto taken = desired_.check(proposal.from, *proposal.text.policy, proposal.if_version); !taken) {
    return failure(ProposalRefused{taken.error(), {}});
  }
  const auto& rollout = core.rollout();
  const auto& base = rollout.base(ServiceKind::kNat64);
  if (!base.empty()) {
    auto stranded =
        taken_from_use(*base.policy, *proposal.text.policy, core.leases(), any_nat64(core), proposal.drain);
    if (!stranded.empty()) return failure(ProposalRefused{std::nullopt, std::move(stranded)});
  }
  auto steps = plan_steps(base, rollout.base(ServiceKind::kDns64), proposal.text);
  if (!steps) return failure(ProposalRefused{std::nullopt, std::move(steps.error())});
  if (proposal.dry_run) return newest == nullptr ? 0 : newest->number;

  PolicyEdit edit{.number = newest == nullptr ? 1 : newest->number + 1,
                  .time = time,
                  .author = std::move(proposal.author),
                  .comment = std::move(proposal.comment),
                  .text = std::move(proposal.text)};
  core.set_policy(std::move(*steps), now);
  return desired_.take(std::move(edit));
}

Result<void, std::string> PolicyDesk::restore(ControlPlane& core, std::vector<PolicyEdit> edits,
                                              RolloutMarks marks, TimePoint now) {
  for (auto& edit : edits) desired_.restore(std::move(edit));
  if (desired_.newest() == nullptr) return {};
  auto rollout = replayed(core.rollout(), desired_, marks, true, now);
  if (!rollout) rollout = replayed(core.rollout(), desired_, marks, false, now);
  if (!rollout) return failure(std::move(rollout.error()));
  core.resume_policy(std::move(*rollout), now);
  return {};
}

}  // namespace isthmus::controller
