// SPDX-License-Identifier: Apache-2.0
// Kernel settings that node mode needs and cannot make itself: in containers /proc/sys is read-only.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace isthmus::nat64 {

struct Sysctl {
  std::string name;  // "net.ipv4.ip_forward"
  std::string value;
  std::string why;
};

// Those that do not have the value they need, each with the sentence that mends it; empty when all is well.
// `read` returns the present value, nothing where the kernel has no such setting.
[[nodiscard]] std::vector<std::string> wrong_sysctls(
    const std::vector<Sysctl>& needed, const std::function<std::optional<std::string>(std::string)>& read);

// What node mode needs of the node, whatever its interfaces are called.
[[nodiscard]] std::vector<Sysctl> node_mode_sysctls();

// Of this process's network namespace.
[[nodiscard]] std::optional<std::string> read_sysctl(const std::string& name);
[[nodiscard]] bool write_sysctl(const std::string& name, const std::string& value);

}  // namespace isthmus::nat64
