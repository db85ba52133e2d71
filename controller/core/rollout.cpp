// SPDX-License-Identifier: Apache-2.0
#include "controller/core/rollout.hpp"

#include <utility>

namespace isthmus::controller {

void Rollout::connected(Version running) {
  nonce_ = 0;
  running_ = running;
  violations_.clear();
  if (state_ == RolloutState::kNone) return;
  state_ = running == wanted_ ? RolloutState::kApplied : RolloutState::kPending;
}

void Rollout::want(Version version) {
  if (state_ != RolloutState::kNone && version == wanted_) return;
  wanted_ = version;
  state_ = nonce_ == 0 && running_ == version ? RolloutState::kApplied : RolloutState::kPending;
}

void Rollout::sent(std::uint64_t nonce) {
  nonce_ = nonce;
  in_flight_ = wanted_;
  state_ = RolloutState::kSent;
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
  if (state_ == RolloutState::kSent) state_ = RolloutState::kApplied;  // else: something newer is pending
  return true;
}

bool Rollout::on_nack(std::uint64_t nonce, Version running, std::vector<Violation> violations) {
  if (!answered(nonce, running)) return false;
  violations_ = std::move(violations);
  if (state_ == RolloutState::kSent) state_ = RolloutState::kRejected;
  return true;
}

}  // namespace isthmus::controller
