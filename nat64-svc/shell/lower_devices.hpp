// SPDX-License-Identifier: Apache-2.0
// The devices under a VLAN, a macvlan, a bond. The kernel merges the TCP segments that a network card
// received (generic receive offload) before a device on top of it gets them, and spares only a card that has
// an XDP program itself. Ours is at the upper device then, and a merged packet fits no frame of AF_XDP.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace isthmus::nat64 {

// How to ask the machine; made up in tests.
struct DeviceQuestions {
  std::function<std::vector<std::string>(const std::string&)> right_below;
  std::function<bool(const std::string&)> merges;
};

// As the kernel tells. /sys may be mounted for another network namespace: then nothing is below anything.
[[nodiscard]] DeviceQuestions ask_kernel();

// Pure: those below `device`, at any depth, that merge segments; each once.
[[nodiscard]] std::vector<std::string> merging_below(const std::string& device, const DeviceQuestions& ask);

}  // namespace isthmus::nat64
