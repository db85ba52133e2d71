// SPDX-License-Identifier: Apache-2.0
// The files that a policy's lists name.
#pragma once

#include <string>
#include <vector>

#include "common/base/result.hpp"
#include "common/config/domain_lists.hpp"

namespace isthmus {

// Reads them, relative to `directory` (of the policy), and writes their chunks into the policy. Gives the
// content, or every violation.
[[nodiscard]] Result<std::vector<ListChunk>, std::vector<Violation>> read_lists(v1::Policy& policy,
                                                                                const std::string& directory);

// Another text when one of the files has changed since, as far as its size, time and number tell.
[[nodiscard]] std::string list_stamps(const v1::Policy& policy, const std::string& directory);

// "/etc/isthmus" of "/etc/isthmus/policy.yaml".
[[nodiscard]] std::string directory_of(const std::string& policy_file);

}  // namespace isthmus
