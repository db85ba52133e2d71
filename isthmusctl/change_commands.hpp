// SPDX-License-Identifier: Apache-2.0
// Commands that change something, and those that tell what changed. Exit codes as in commands.hpp; `diff`
// gives 1 when there are differences, as diff(1) does.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "isthmusctl/commands.hpp"

namespace isthmus {

struct ChangeOptions {
  std::optional<std::uint64_t> if_version;
  std::string comment;
  bool dry_run = false;
  bool drain = false;
};

[[nodiscard]] int apply_command(const ControllerAddress& controller, const std::string& file,
                                const ChangeOptions& options);
[[nodiscard]] int rollback_command(const ControllerAddress& controller, std::uint64_t to,
                                   const ChangeOptions& options);
// `file` empty: version `to` against version `from`; 0: the newest.
[[nodiscard]] int diff_command(const ControllerAddress& controller, const std::string& file,
                               std::uint64_t from, std::uint64_t to, Format format);
[[nodiscard]] int history_command(const ControllerAddress& controller, Format format);

[[nodiscard]] int drain_command(const ControllerAddress& controller, const std::string& node,
                                const std::string& comment, bool force);
[[nodiscard]] int undrain_command(const ControllerAddress& controller, const std::string& node);
[[nodiscard]] int fence_command(const ControllerAddress& controller, const std::string& node,
                                const std::string& machine);
[[nodiscard]] int describe_node_command(const ControllerAddress& controller, const std::string& node,
                                        Format format);

}  // namespace isthmus
