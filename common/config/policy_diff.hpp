// SPDX-License-Identifier: Apache-2.0
// What differs between two policies, field by field, as an operator would say it. Pure.
#pragma once

#include <string>
#include <vector>

#include "isthmus/v1/policy.pb.h"

namespace isthmus {

struct PolicyChange {
  std::string path;    // "pools[public].lease.term"; objects by their name, not their place
  std::string before;  // empty: it was absent
  std::string after;   // empty: it is absent now
  bool operator==(const PolicyChange&) const = default;
};

// In the order of the schema. Lists of plain values are compared as sets: each value that came or went is one
// change.
[[nodiscard]] std::vector<PolicyChange> diff(const v1::Policy& before, const v1::Policy& after);

}  // namespace isthmus
