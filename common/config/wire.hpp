// SPDX-License-Identifier: Apache-2.0
// control.proto messages <-> our values. What comes from the network is checked like a policy: all
// violations, with paths.
#pragma once

#include <vector>

#include "common/base/result.hpp"
#include "common/config/allocation.hpp"
#include "isthmus/v1/control.pb.h"

namespace isthmus {

[[nodiscard]] Version from_proto(const v1::Version& version);
[[nodiscard]] v1::Version to_proto(Version version);
[[nodiscard]] Result<Allocation, std::vector<Violation>> from_proto(const v1::Allocation& allocation);
[[nodiscard]] v1::Allocation to_proto(const Allocation& allocation);
[[nodiscard]] Result<HealthySet, std::vector<Violation>> from_proto(const v1::HealthySet& health);
[[nodiscard]] v1::HealthySet to_proto(const HealthySet& health);

}  // namespace isthmus
