// SPDX-License-Identifier: Apache-2.0
// Every rule of a policy. The one validation used by `isthmusctl validate`, the controller and each service.
#pragma once

#include <vector>

#include "common/base/result.hpp"
#include "common/config/policy.hpp"
#include "isthmus/v1/policy.pb.h"

namespace isthmus {

// The policy with every default filled in, or every violation with its path. Pure.
[[nodiscard]] Result<Policy, std::vector<Violation>> from_proto(const v1::Policy& policy);

}  // namespace isthmus
