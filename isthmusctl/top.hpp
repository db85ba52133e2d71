// SPDX-License-Identifier: Apache-2.0
// isthmusctl top: who carries how much now, from two answers of the controller and the time between them.
#pragma once

#include <string>

#include "isthmus/v1/admin.pb.h"

namespace isthmus {

// `seconds` between the two; rates of a node that restarted or is new are not known yet and shown as "-".
[[nodiscard]] std::string show_top(const v1::ListNodesResponse& before, const v1::ListNodesResponse& now,
                                   double seconds);

}  // namespace isthmus
