// SPDX-License-Identifier: Apache-2.0
// Longest-prefix match from client address to view: one hash probe per distinct prefix length in use.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "common/net/prefix.hpp"
#include "dns64-svc/core/client_info.hpp"

namespace isthmus::dns64 {

template <class Prefix, class Address>
class PrefixTable {
 public:
  // The first value given for a prefix stays.
  void add(const Prefix& prefix, std::uint32_t value) {
    auto level = std::find_if(levels_.begin(), levels_.end(),
                              [&](const Level& l) { return l.length <= prefix.length(); });
    if (level == levels_.end() || level->length != prefix.length())
      level = levels_.insert(level, Level{prefix.length(), {}});
    level->values.emplace(prefix.address(), value);
  }
  // `known`: of a network, its length. A longer prefix may or may not be its clients', and does not count.
  [[nodiscard]] std::optional<std::uint32_t> find(const Address& address,
                                                  unsigned known = kWholeAddress) const {
    for (const auto& level : levels_) {  // longest first
      if (level.length > known) continue;
      const auto hit = level.values.find(Prefix{address, level.length}.address());
      if (hit != level.values.end()) return hit->second;
    }
    return std::nullopt;
  }

 private:
  struct Level {
    unsigned length;
    std::unordered_map<Address, std::uint32_t> values;
  };
  std::vector<Level> levels_;  // by length, longest first
};

}  // namespace isthmus::dns64
