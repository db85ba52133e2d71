// SPDX-License-Identifier: Apache-2.0
// How long answers in a translation prefix may be in caches and clients once no DNS64 service gives them any
// more: as long as the TTLs of every policy allowed that a service ran, not of the last one alone. A policy
// whose limits were lowered leaves answers with the TTLs from before behind it.
#pragma once

#include "common/base/clock.hpp"
#include "common/config/policy.hpp"

namespace isthmus::controller {

// How long an answer in a prefix of this kind may be used after `policy` gave it; zero: it gives none.
[[nodiscard]] Duration answers_live(const Policy& policy, Assignment assignment);

class AnswersInUse {
 public:
  // Some DNS64 service may run this policy until the next all_run().
  void may_run(const Policy& policy);
  // From now on all run another: what those gave lives on for a while.
  void all_run(TimePoint now);
  // When the last answer in a prefix of this kind is gone that a policy gave which nobody runs any more.
  [[nodiscard]] TimePoint until(Assignment assignment) const { return of(assignment).until; }
  // The longest life that a policy gives which some may run.
  [[nodiscard]] Duration running(Assignment assignment) const { return of(assignment).running; }

 private:
  struct Kind {
    Duration running{};
    TimePoint until;
  };
  [[nodiscard]] const Kind& of(Assignment assignment) const {
    return assignment == Assignment::kShared ? shared_ : per_node_;
  }
  Kind shared_, per_node_;
};

}  // namespace isthmus::controller
