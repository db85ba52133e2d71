// SPDX-License-Identifier: Apache-2.0
// What a controller would give, for a service that runs alone: all of it.
#pragma once

#include "common/config/allocation.hpp"

namespace isthmus {

// Every address of every pool, held for good.
[[nodiscard]] Allocation standalone_allocation(const Policy& policy);

// One node, "local", healthy, with the first /96 of every PER_NODE parent.
[[nodiscard]] HealthySet standalone_health(const Policy& policy);

}  // namespace isthmus
