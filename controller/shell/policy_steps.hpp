// SPDX-License-Identifier: Apache-2.0
// The texts on the way from what runs to what is wanted (see core/policy_rollout.hpp). Pure, but it knows
// messages.
#pragma once

#include <vector>

#include "common/base/result.hpp"
#include "controller/core/policy_rollout.hpp"

namespace isthmus::controller {

// `nat64`, `dns64`: what all services of the kind run. The error: why old and new cannot be run side by side.
[[nodiscard]] Result<PolicySteps, std::vector<Violation>> plan_steps(const PolicyText& nat64,
                                                                     const PolicyText& dns64,
                                                                     const PolicyText& target);

}  // namespace isthmus::controller
