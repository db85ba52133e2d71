// SPDX-License-Identifier: Apache-2.0
// One function per command. Each prints to stdout, errors to stderr as one line with the remedy, and returns
// the exit code: 0 done, 1 refused (a policy with violations), 2 could not ask.
#pragma once

#include <string>

#include "common/control/control_client.hpp"
#include "isthmusctl/view.hpp"

namespace isthmus {

struct ControllerAddress {
  std::string target;  // host:port
  TlsFiles tls;        // all empty: plain text
};

enum class What { kPolicy, kNodes, kLeases };

[[nodiscard]] int validate_command(const std::string& file);
// The same by the controller's own build: what it would say to this file.
[[nodiscard]] int validate_remote_command(const ControllerAddress& controller, const std::string& file);
[[nodiscard]] int get_command(const ControllerAddress& controller, What what, Format format);

// A table every `interval` seconds, `count` times (0: until interrupted).
[[nodiscard]] int top_command(const ControllerAddress& controller, double interval, int count);

// What happened at the controller, of one node when it is given. `follow`: and goes on until interrupted,
// over another controller that takes the lead, too.
[[nodiscard]] int events_command(const ControllerAddress& controller, const std::string& node, bool follow,
                                 Format format);

// Who held `address`, from when to when.
[[nodiscard]] int lease_history_command(const ControllerAddress& controller, const std::string& address,
                                        Format format);

}  // namespace isthmus
