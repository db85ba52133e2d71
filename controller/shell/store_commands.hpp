// SPDX-License-Identifier: Apache-2.0
// isthmus-controller backup and restore. They print one line and return the exit code.
#pragma once

#include <memory>
#include <string>

#include "controller/store/store.hpp"

namespace isthmus::controller {

[[nodiscard]] int backup_command(Store& store, const std::string& file);
[[nodiscard]] int restore_command(Store& store, const std::string& file, bool replace);

}  // namespace isthmus::controller
