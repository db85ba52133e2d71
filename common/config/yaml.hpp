// SPDX-License-Identifier: Apache-2.0
// Policy as operators write it: YAML whose shape is that of isthmus.v1.Policy. Pure: text in, message or
// every violation out. Only the shape is checked here (names, types, enum values, durations); the rules are
// from_proto()'s.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.hpp"
#include "common/config/policy.hpp"
#include "isthmus/v1/policy.pb.h"

namespace isthmus {

inline constexpr std::size_t kMaxPolicyBytes = 8U << 20;

// Unknown and misspelt fields, duplicate keys, values of the wrong type: each a violation with path and line.
[[nodiscard]] Result<v1::Policy, std::vector<Violation>> parse_policy_yaml(std::string_view text);

// Shape and rules in one step: what every program calls on a policy file.
[[nodiscard]] Result<Policy, std::vector<Violation>> load_policy(std::string_view yaml);

// Canonical YAML of a policy: fields in schema order, absent fields left out. parse_policy_yaml() reads it
// back equal.
[[nodiscard]] std::string to_yaml(const v1::Policy& policy);

}  // namespace isthmus
