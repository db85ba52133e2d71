// SPDX-License-Identifier: Apache-2.0
// Which of the addresses that were leased to this node it may use now. HOLD leases: all. STOP leases: those
// with a deadline that a renewal earned; near it no new mappings are made, from it on nothing. Pure.
#pragma once

#include <optional>
#include <vector>

#include "common/config/allocation.hpp"
#include "common/control/lease_clock.hpp"

namespace isthmus::nat64 {

struct UsableLeases {
  Allocation allocation;                 // without the addresses that may not be used
  std::optional<TimePoint> next_change;  // when it will differ, if no renewal comes
  std::optional<TimePoint> stop;         // when the first of these addresses may no longer be used
};

[[nodiscard]] UsableLeases usable_leases(const Allocation& leased,
                                         const std::vector<LeaseDeadline>& deadlines, TimePoint now);

}  // namespace isthmus::nat64
