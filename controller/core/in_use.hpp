// SPDX-License-Identifier: Apache-2.0
// What a new policy would take away from under live sessions. Most of it can be drained and is refused only
// until the operator says so (`isthmusctl apply --drain`, `--in-use drain` of the controller); what cannot be
// done live is refused with what to do instead.
#pragma once

#include <vector>

#include "common/config/policy.hpp"
#include "controller/core/lease_table.hpp"

namespace isthmus::controller {

// `nat64_known`: there are NAT64 nodes, so clients may hold answers in the prefixes of `running`.
[[nodiscard]] std::vector<Violation> taken_from_use(const Policy& running, const Policy& next,
                                                    const LeaseTable& leases, bool nat64_known, bool drain);

}  // namespace isthmus::controller
