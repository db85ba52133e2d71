// SPDX-License-Identifier: Apache-2.0
// A policy as it runs, as a message: every default written out, so that an operator sees what holds and not
// only what somebody wrote. from_proto() reads it back equal.
#pragma once

#include "common/config/policy.hpp"
#include "isthmus/v1/policy.pb.h"

namespace isthmus {

// Pure. Lists of domains keep their file's name and the hashes of their pieces, not what the pieces hold.
[[nodiscard]] v1::Policy to_proto(const Policy& policy);

}  // namespace isthmus
