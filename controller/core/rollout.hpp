// SPDX-License-Identifier: Apache-2.0
// One resource on its way to one service: Pending -> Sent -> Applied | Rejected. One update is in flight at a
// time; what changes meanwhile is sent, whole and newest, when the answer came. The nonce pairs an answer
// with its question. What a node could not run for a reason of its own it is sent again, ever less often; it
// stays rejected until it runs.
#pragma once

#include <cstdint>
#include <vector>

#include "common/base/clock.hpp"
#include "common/base/enum_names.hpp"
#include "common/config/policy.hpp"
#include "controller/core/messages.hpp"

namespace isthmus::controller {

enum class RolloutState : std::uint8_t { kNone, kPending, kSent, kApplied, kRejected, kCount };
inline constexpr EnumNames<RolloutState> kRolloutStateNames{
    {"none", "pending", "sent", "applied", "rejected"}};

class Rollout {
 public:
  // Between a refusal for which the text is not to blame and the next try; doubles.
  static constexpr Duration kFirstRetry = std::chrono::seconds{5};
  static constexpr Duration kLastRetry = std::chrono::minutes{5};

  // A new stream: nothing is in flight on it. `running` is what the service says it runs.
  void connected(Version running);
  // What it should run. The same version again changes nothing.
  void want(Version version);
  // True when an update should go out now.
  [[nodiscard]] bool due(TimePoint now) const {
    if (nonce_ != 0) return false;
    return state_ == RolloutState::kPending || (state_ == RolloutState::kRejected && now >= retry_at_);
  }
  void sent(std::uint64_t nonce);

  // False: the nonce is not the one in flight; the answer means nothing.
  bool on_ack(std::uint64_t nonce, Version running);
  bool on_nack(std::uint64_t nonce, Version running, NackKind kind, std::vector<Violation> violations,
               TimePoint now);

  [[nodiscard]] RolloutState state() const { return state_; }
  // The last that was sent; when on_ack() said true, the one acked.
  [[nodiscard]] Version last_sent() const { return in_flight_; }
  [[nodiscard]] Version wanted() const { return wanted_; }
  [[nodiscard]] Version running() const { return running_; }
  [[nodiscard]] const std::vector<Violation>& violations() const { return violations_; }

 private:
  bool answered(std::uint64_t nonce, Version running);

  RolloutState state_ = RolloutState::kNone;
  Version wanted_;
  Version in_flight_;
  Version running_;
  std::uint64_t nonce_ = 0;  // in flight; 0: none
  TimePoint retry_at_;       // of what is rejected
  Duration retry_after_ = kFirstRetry;
  std::vector<Violation> violations_;
};

}  // namespace isthmus::controller
