// SPDX-License-Identifier: Apache-2.0
// What is in a valid policy and most likely not meant. No reason to refuse it: only its author knows.
#pragma once

#include <vector>

#include "common/config/policy.hpp"

namespace isthmus {

[[nodiscard]] std::vector<Violation> doubts_about(const Policy& policy);

}  // namespace isthmus
