// SPDX-License-Identifier: Apache-2.0
#include "controller/core/policy_rollout.hpp"

#include <algorithm>
#include <utility>

namespace isthmus::controller {

PolicyRollout::PolicyRollout(WaveSettings settings, std::uint64_t epoch)
    : sides_{Side{{}, {}, Waves{settings}}, Side{{}, {}, Waves{settings}}}, epoch_(epoch) {}

PolicyRollout::Edition PolicyRollout::edition(const PolicyText& text) {
  return {{epoch_, ++counter_}, text};
}

void PolicyRollout::begin(PolicySteps steps, TimePoint now) {
  Side& nat64 = at(ServiceKind::kNat64);
  Side& dns64 = at(ServiceKind::kDns64);
  const bool first = target_.empty();
  if (!dns64.base.text.empty()) answers_.may_run(*dns64.base.text.policy);
  if (phase_ == RolloutPhase::kDns64) answers_.may_run(*dns64.next.text.policy);
  const Edition target = edition(steps.target);
  target_ = steps.target;
  target_version_ = target.version;
  bridge_ = steps.bridge;
  answers_until_ = {};
  retired_ = std::move(steps.retired);

  // `base` is what all of a kind had acked, whatever the waves of an unfinished rollout brought to some.
  for (const auto kind : {ServiceKind::kNat64, ServiceKind::kDns64}) {
    const auto& interim = steps.interim[static_cast<std::size_t>(kind)];
    if (!interim.empty() && !first) at(kind).base = edition(interim);
    at(kind).staged = steps.staged[static_cast<std::size_t>(kind)] && !first;
    at(kind).waves.start();
  }
  nat64.next = bridge_.empty() || first ? target : edition(bridge_);
  dns64.next = target;
  if (!nat64.staged) nat64.base = nat64.next;
  if (!dns64.staged) dns64.base = dns64.next;
  if (first) bridge_ = {};
  phase_ = RolloutPhase::kNat64;
  pass(now);
}

// Over phases that wait for nobody.
void PolicyRollout::pass(TimePoint now) {
  while (true) {
    const auto kind = moving();
    if (!kind || at(*kind).staged) return;
    at(*kind).base = at(*kind).next;
    leave(now);
  }
}

std::optional<ServiceKind> PolicyRollout::moving() const {
  switch (phase_) {
    case RolloutPhase::kNat64:
    case RolloutPhase::kContract:
      return ServiceKind::kNat64;
    case RolloutPhase::kDns64:
      return ServiceKind::kDns64;
    case RolloutPhase::kAnswers:
    case RolloutPhase::kDone:
    case RolloutPhase::kCount:
      break;
  }
  return std::nullopt;
}

const Waves* PolicyRollout::waves() const {
  const auto kind = moving();
  return kind ? &at(*kind).waves : nullptr;
}

void PolicyRollout::leave(TimePoint now) {
  switch (phase_) {
    case RolloutPhase::kNat64:
      phase_ = RolloutPhase::kDns64;
      nat64_runs_ = target_;
      return;
    case RolloutPhase::kDns64:
      phase_ = bridge_.empty() ? RolloutPhase::kDone : RolloutPhase::kAnswers;
      answers_.all_run(now);
      answers_until_ = last_retired_answer(now);
      break;
    case RolloutPhase::kAnswers: {
      phase_ = RolloutPhase::kContract;
      Side& nat64 = at(ServiceKind::kNat64);
      nat64.next = {target_version_, target_};
      nat64.waves.start();
      break;
    }
    case RolloutPhase::kContract:
    case RolloutPhase::kDone:
    case RolloutPhase::kCount:
      phase_ = RolloutPhase::kDone;
      break;
  }
  if (phase_ == RolloutPhase::kDone) retired_.clear();
}

// In a prefix that goes. A parent's are of nodes' /96s, so that it has no length of its own to embed at.
TimePoint PolicyRollout::last_retired_answer(TimePoint now) const {
  TimePoint last = now;
  for (const auto& [prefix, embed_length] : retired_) {
    const bool shared = prefix.length() == embed_length;
    last = std::max(last, answers_.until(shared ? Assignment::kShared : Assignment::kPerNode));
  }
  return last;
}

TimePoint PolicyRollout::last_answer(Assignment assignment, TimePoint given) const {
  const Side& dns64 = at(ServiceKind::kDns64);
  Duration live = answers_.running(assignment);
  if (!dns64.base.text.empty()) live = std::max(live, answers_live(*dns64.base.text.policy, assignment));
  if (phase_ == RolloutPhase::kDns64)
    live = std::max(live, answers_live(*dns64.next.text.policy, assignment));
  return std::max(given + live, answers_.until(assignment));
}

RolloutMarks PolicyRollout::marks(std::uint64_t target, RolloutMarks before) const {
  if (target_.empty() || phase_ == RolloutPhase::kNat64) return before;
  before.nat64 = target;
  if (phase_ == RolloutPhase::kDns64) return before;
  before.dns64 = target;
  if (phase_ == RolloutPhase::kDone) before.done = target;
  return before;
}

bool PolicyRollout::step(const std::vector<Waves::Member>& members, TimePoint now) {
  if (phase_ == RolloutPhase::kDone) return false;
  if (const auto kind = moving()) {
    Side& side = at(*kind);
    std::vector<Waves::Member> own;
    for (const auto& member : members) {
      if (member.key.first == *kind) own.push_back(member);
    }
    if (!side.waves.step(own, now)) return false;
    side.base = side.next;
  } else if (now < answers_until_) {
    return false;
  }
  leave(now);
  pass(now);
  return true;
}

const PolicyRollout::Edition* PolicyRollout::wanted(const Key& key) const {
  if (target_.empty()) return nullptr;
  const Side& side = at(key.first);
  return moving() == key.first && side.waves.admitted(key) ? &side.next : &side.base;
}

void PolicyRollout::raise_epoch(std::uint64_t epoch) {
  epoch_ = epoch;
  for (auto& side : sides_) {
    if (side.base.version.counter > 0) side.base.version.epoch = epoch;
    if (side.next.version.counter > 0) side.next.version.epoch = epoch;
  }
  if (target_version_.counter > 0) target_version_.epoch = epoch;
}

}  // namespace isthmus::controller
