// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/lower_devices.hpp"

#include <algorithm>

namespace isthmus::nat64 {

std::vector<int> merging_below(int index, const std::map<int, Interface>& interfaces,
                               const std::function<bool(int)>& merges) {
  std::vector<int> merging;
  if (index == 0) return merging;  // no link; also what those without a master have
  std::vector<int> seen{index};
  for (std::size_t i = 0; i < seen.size(); ++i) {
    const auto above = interfaces.find(seen[i]);
    for (const auto& [number, interface] : interfaces) {
      const bool below =
          interface.master == seen[i] || (above != interfaces.end() && above->second.lower == number);
      if (!below || std::ranges::find(seen, number) != seen.end()) continue;
      if (merges(number)) merging.push_back(number);
      seen.push_back(number);
    }
  }
  return merging;
}

}  // namespace isthmus::nat64
