// SPDX-License-Identifier: Apache-2.0
// A policy as an operator has it: a text, and the files of the lists that it names, which are read here.
#pragma once

#include <string>
#include <vector>

#include "common/config/domain_lists.hpp"
#include "isthmusctl/commands.hpp"

namespace isthmus {

struct PolicyInput {
  std::string yaml;               // as read; with lists: with what they hold written down
  std::vector<ListChunk> chunks;  // of the lists
};

// "-": standard input, its lists beside the current directory. A text that cannot be parsed is given as it
// is: whoever validates it says what is wrong with it. The error: what is wrong with file or lists.
[[nodiscard]] Result<PolicyInput, std::vector<Violation>> read_policy(const std::string& file);

// Brings the controller those chunks that it lacks. 0, or the exit code after a complaint.
[[nodiscard]] int put_chunks(const ControllerAddress& controller, const std::vector<ListChunk>& chunks);

}  // namespace isthmus
