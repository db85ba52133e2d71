// SPDX-License-Identifier: Apache-2.0
#include "controller/core/rollout.hpp"

#include <algorithm>
#include <utility>

namespace isthmus::controller {

void Rollout::connected(Version running) {
  nonce_ = 0;
  running_ = running;
  violations_.clear();
  retry_after_ = kFirstRetry;
  if (state_ == RolloutState::kNone) return;
  state_ = running == wanted_ ? RolloutState::kApplied : RolloutState::kPending;
}

void Rollout::want(Version version) {
  if (state_ != RolloutState::kNone && version == wanted_) return;
  wanted_ = version;
  retry_after_ = kFirstRetry;
  state_ = nonce_ == 0 && running_ == version ? RolloutState::kApplied : RolloutState::kPending;
}

void Rollout::sent(std::uint64_t nonce) {
  nonce_ = nonce;
  in_flight_ = wanted_;
  if (state_ != RolloutState::kRejected) state_ = RolloutState::kSent;
}

bool Rollout::answered(std::uint64_t nonce, Version running) {
  if (nonce == 0 || nonce != nonce_) return false;
  nonce_ = 0;
  running_ = running;
  violations_.clear();
  return true;
}

bool Rollout::on_ack(std::uint64_t nonce, Version running) {
  if (!answered(nonce, running)) return false;
  if (state_ == RolloutState::kPending) return true;  // something newer is wanted
  state_ = RolloutState::kApplied;
  retry_after_ = kFirstRetry;
  return true;
}

bool Rollout::on_nack(std::uint64_t nonce, Version running, NackKind kind, std::vector<Violation> violations,
                      TimePoint now) {
  if (!answered(nonce, running)) return false;
  violations_ = std::move(violations);
  if (state_ == RolloutState::kPending) return true;
  state_ = RolloutState::kRejected;
  retry_at_ = kind == NackKind::kNodeCannot ? now + retry_after_ : TimePoint::max();
  retry_after_ = std::min<Duration>(retry_after_ * 2, kLastRetry);
  return true;
}

}  // namespace isthmus::controller
