// SPDX-License-Identifier: Apache-2.0
// How the programs refuse to start: one line on stderr that says what is wrong and how to mend it.
//
//   if (!endpoint) return startup_error("nat64-svc", endpoint.error());
//   nat64-svc: cannot listen on 127.0.0.1:80: Permission denied: choose a free port ...
#pragma once

#include <string_view>

namespace isthmus {

// Prints "program: problem" (newlines inside become "; ") and returns the exit code.
[[nodiscard]] int startup_error(std::string_view program, std::string_view problem);

}  // namespace isthmus
