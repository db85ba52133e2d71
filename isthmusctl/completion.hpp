// SPDX-License-Identifier: Apache-2.0
// isthmusctl completion bash: a script for the shell, made from the command tree itself.
#pragma once

#include <string>

#include <CLI/CLI.hpp>

namespace isthmus {

// For `source <(isthmusctl completion bash)`. Completes subcommands and flags; file names elsewhere.
[[nodiscard]] std::string bash_completion(const CLI::App& app);

}  // namespace isthmus
