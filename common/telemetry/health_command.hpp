// SPDX-License-Identifier: Apache-2.0
// `PROGRAM health [HOST:PORT]` asks a program that runs already for its /readyz: for HEALTHCHECK, exec probes
// and people, in images that hold nothing but the program.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace isthmus {

struct HealthAnswer {
  bool ready = false;
  std::string sentence;  // what /readyz says, or why nobody could be asked; without a newline at its end
};

// Blocks for at most 5 s. `address` is HOST:PORT of the program's --http-listen.
[[nodiscard]] HealthAnswer ask_health(std::string_view address);

// The exit code when argv says `health`: 0 ready, 1 not ready, 2 wrong use. Nothing when it says something
// else.
[[nodiscard]] std::optional<int> health_command(std::string_view program, std::string_view default_address,
                                                int argc, const char* const* argv);

}  // namespace isthmus
