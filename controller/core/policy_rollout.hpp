// SPDX-License-Identifier: Apache-2.0
// From the policy that runs to the one that is wanted, in an order in which nothing breaks:
//
//   now         every service gets what ran, with the new exclusions          (PolicySteps::interim)
//   nat64       NAT64 nodes, wave by wave, get the new policy and every prefix that clients may still hold
//               (PolicySteps::bridge)
//   dns64       then DNS64 services, wave by wave, get the new policy: they answer a new prefix only now,
//   when
//               every node translates it, and an old one no longer
//   answers     as long as answers in prefixes that go may be in caches, both are translated
//   contract    NAT64 nodes, wave by wave, get the new policy alone
//
// A kind of service for which nothing changes that could break it gets the new policy now, and nobody waits
// for it: so do exclusions reach everyone at once. A refusal stops the waves (waves.hpp). A policy that comes
// while another is on its way starts from what was reached. Values in, values out; the texts of the steps are
// made by the shell (policy_steps.hpp).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "common/base/enum_names.hpp"
#include "common/config/allocation.hpp"
#include "common/config/policy.hpp"
#include "controller/core/answers_in_use.hpp"
#include "controller/core/waves.hpp"

namespace isthmus::controller {

template <class T>
using PerKind = std::array<T, kEnumSize<ServiceKind>>;

// One policy as value and as message; the core never looks into the message.
struct PolicyText {
  std::shared_ptr<const Policy> policy;
  std::shared_ptr<const v1::Policy> wire;
  [[nodiscard]] bool empty() const { return policy == nullptr; }
};

struct PolicySteps {
  PolicyText target;
  PolicyText bridge;            // empty: no prefix goes, the target does
  PerKind<PolicyText> interim;  // empty: the exclusions stay as they are
  PerKind<bool> staged{};  // goes by waves, and the next phase waits for it; false: to all of this kind now
  std::vector<RetiredPrefix> retired;  // prefixes that go: answered for PTR until the end
};

enum class RolloutPhase : std::uint8_t { kDone, kNat64, kDns64, kAnswers, kContract, kCount };
inline constexpr EnumNames<RolloutPhase> kRolloutPhaseNames{
    {"done", "nat64", "dns64", "answers", "contract"}};

// Of numbered versions, how far they have come: all that must be kept of a rollout.
struct RolloutMarks {
  std::uint64_t done = 0;   // every service runs this one, and of older ones nothing is left
  std::uint64_t nat64 = 0;  // every NAT64 node does: its pools are leased from
  std::uint64_t dns64 = 0;  // every DNS64 service does, too
  bool operator==(const RolloutMarks&) const = default;
};

class PolicyRollout {
 public:
  using Key = Waves::Key;
  struct Edition {
    Version version;
    PolicyText text;
  };

  PolicyRollout(WaveSettings settings, std::uint64_t epoch);

  void begin(PolicySteps steps, TimePoint now);
  // Moves on as far as the members (in any order, of both kinds) allow. True: another phase was entered.
  [[nodiscard]] bool step(const std::vector<Waves::Member>& members, TimePoint now);
  void raise_epoch(std::uint64_t epoch);
  // DNS64 services may have run this policy, and may until all run the one that begins next.
  void remember(const Policy& before) { answers_.may_run(before); }

  // What this service should run; null before the first policy.
  [[nodiscard]] const Edition* wanted(const Key& key) const;
  // What a service of this kind runs that the waves have not reached; empty before the first policy.
  [[nodiscard]] const PolicyText& base(ServiceKind kind) const { return at(kind).base.text; }
  // The edition that the present phase brings to this kind.
  [[nodiscard]] Version next_version(ServiceKind kind) const { return at(kind).next.version; }
  [[nodiscard]] const PolicyText& next(ServiceKind kind) const { return at(kind).next.text; }

  [[nodiscard]] RolloutPhase phase() const { return phase_; }
  [[nodiscard]] const PolicyText& target() const { return target_; }
  [[nodiscard]] Version target_version() const { return target_version_; }
  [[nodiscard]] TimePoint answers_until() const { return answers_until_; }
  // When the last answer in a prefix of this kind is gone that any DNS64 service gave until `given`.
  [[nodiscard]] TimePoint last_answer(Assignment assignment, TimePoint given) const;
  [[nodiscard]] const std::vector<RetiredPrefix>& retired() const { return retired_; }
  // Of the phase's kind: nobody when it is not a phase of waves.
  [[nodiscard]] const Waves* waves() const;
  // The newest target that every NAT64 node ran; empty before the first policy.
  [[nodiscard]] const PolicyText& nat64_runs() const { return nat64_runs_; }
  // `target`: the number of the target. `before`: of the versions before it.
  [[nodiscard]] RolloutMarks marks(std::uint64_t target, RolloutMarks before) const;
  // True from the moment that every node runs the pools and prefixes of the target.
  [[nodiscard]] bool nat64_reached() const { return phase_ != RolloutPhase::kNat64 && !target_.empty(); }

 private:
  struct Side {
    Edition base, next;
    Waves waves;
    bool staged = false;
  };
  [[nodiscard]] Side& at(ServiceKind kind) { return sides_[static_cast<std::size_t>(kind)]; }
  [[nodiscard]] const Side& at(ServiceKind kind) const { return sides_[static_cast<std::size_t>(kind)]; }
  [[nodiscard]] Edition edition(const PolicyText& text);
  [[nodiscard]] std::optional<ServiceKind> moving() const;
  void leave(TimePoint now);
  void pass(TimePoint now);
  [[nodiscard]] TimePoint last_retired_answer(TimePoint now) const;

  PerKind<Side> sides_;
  std::uint64_t epoch_;
  std::uint64_t counter_ = 0;
  RolloutPhase phase_ = RolloutPhase::kDone;
  PolicyText target_;
  Version target_version_;
  PolicyText bridge_;
  PolicyText nat64_runs_;
  TimePoint answers_until_;
  std::vector<RetiredPrefix> retired_;
  AnswersInUse answers_;
};

}  // namespace isthmus::controller
