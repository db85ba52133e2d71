// SPDX-License-Identifier: Apache-2.0
// Many IPv4 prefixes as sorted disjoint ranges: one binary search, however long an exclusion list is.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "common/net/prefix.hpp"

namespace isthmus::nat64 {

class Ipv4RangeSet {
 public:
  Ipv4RangeSet() = default;
  explicit Ipv4RangeSet(const std::vector<Ipv4Prefix>& prefixes) {
    std::vector<Range> all;
    all.reserve(prefixes.size());
    for (const auto& p : prefixes) all.push_back({p.address().value(), p.last().value()});
    std::ranges::sort(all, {}, &Range::first);
    for (const auto& r : all) {
      if (!ranges_.empty() && r.first <= ranges_.back().last)
        ranges_.back().last = std::max(ranges_.back().last, r.last);
      else
        ranges_.push_back(r);
    }
  }
  [[nodiscard]] bool contains(Ipv4Address address) const {
    const auto after = std::ranges::upper_bound(ranges_, address.value(), {}, &Range::first);
    return after != ranges_.begin() && address.value() <= std::prev(after)->last;
  }

 private:
  struct Range {
    std::uint32_t first;
    std::uint32_t last;
  };
  std::vector<Range> ranges_;
};

}  // namespace isthmus::nat64
