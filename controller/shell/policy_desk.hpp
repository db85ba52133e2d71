// SPDX-License-Identifier: Apache-2.0
// Where every change of the policy passes, whether a file or an operator brings it: is it from the right
// place, has its author seen the last one, does it take away what is in use, how does it get from here to
// there. Used by the hub's thread alone, with the core at hand.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "controller/core/control_plane.hpp"
#include "controller/core/desired_state.hpp"
#include "isthmus/v1/policy.pb.h"

namespace isthmus::controller {

struct Proposal {
  PolicyOrigin from = PolicyOrigin::kFile;
  PolicyText text;
  std::string author;
  std::string comment;
  std::optional<std::uint64_t> if_version;
  bool dry_run = false;
  bool drain = false;  // what is in use may be taken away, drained first
};

// Why a proposal is not taken: a refusal of the edit as such, or violations of its text.
struct ProposalRefused {
  std::optional<EditRefusal> refusal;
  std::vector<Violation> violations;
  [[nodiscard]] std::vector<Violation> as_violations() const;
};

class PolicyDesk {
 public:
  // Of a controller whose policy is a file.
  PolicyDesk() : PolicyDesk(PolicyOrigin::kFile, "a file", false) {}
  PolicyDesk(PolicyOrigin origin, std::string origin_name, bool revisions)
      : desired_(origin, std::move(origin_name), revisions) {}

  // The number of the newest version afterwards. The same text again is no new version.
  [[nodiscard]] Result<std::uint64_t, ProposalRefused> propose(ControlPlane& core, Proposal proposal,
                                                               WallTime time, TimePoint now);
  // What was kept, oldest first, and how far it had come: a rollout goes on from there.
  [[nodiscard]] Result<void, std::string> restore(ControlPlane& core, std::vector<PolicyEdit> edits,
                                                  RolloutMarks marks, TimePoint now);

  [[nodiscard]] const DesiredState& desired() const { return desired_; }

 private:
  DesiredState desired_;
};

}  // namespace isthmus::controller
