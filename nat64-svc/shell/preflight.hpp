// SPDX-License-Identifier: Apache-2.0
// What the machine must offer, checked before anything is opened, so that the first line an operator sees
// names the cause.
#pragma once

#include <cstdint>
#include <string>

#include "common/base/result.hpp"
#include "common/base/unique_fd.hpp"

namespace isthmus::nat64 {

// Kernel version and capabilities. The error is a sentence with the remedy.
[[nodiscard]] Result<void, std::string> check_machine();

// One nat64-svc per network namespace: held while the descriptor is open, gone with the process.
[[nodiscard]] Result<UniqueFd, std::string> lock_network_namespace();

// Pure, for tests: "6.1.0-18-amd64" is at least major.minor.
[[nodiscard]] bool kernel_at_least(const std::string& release, unsigned major, unsigned minor);

// Pure, for tests: names of the capabilities we need that the mask (/proc/self/status CapEff) lacks; "" for
// none.
[[nodiscard]] std::string missing_capabilities(std::uint64_t effective);

}  // namespace isthmus::nat64
