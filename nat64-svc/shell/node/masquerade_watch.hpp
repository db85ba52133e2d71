// SPDX-License-Identifier: Apache-2.0
// Notices that a CNI hides the pods behind the node's own IPv6 address before their packets come to us: then
// all of them are one subscriber, with one subscriber's ports. Fed with two growing counters. Pure.
#pragma once

#include <cstdint>

namespace isthmus::nat64 {

class MasqueradeWatch {
 public:
  // Looks at what came since the last verdict; too few packets make none. True when the verdict changed.
  bool look(std::uint64_t sampled, std::uint64_t own) {
    if (sampled - sampled_ < kEnough) return false;
    const bool all = sampled - sampled_ == own - own_;
    sampled_ = sampled;
    own_ = own;
    const bool changed = all != masqueraded_;
    masqueraded_ = all;
    return changed;
  }
  [[nodiscard]] bool masqueraded() const { return masqueraded_; }

  static constexpr std::uint64_t kEnough = 20;

 private:
  std::uint64_t sampled_ = 0;
  std::uint64_t own_ = 0;
  bool masqueraded_ = false;
};

}  // namespace isthmus::nat64
