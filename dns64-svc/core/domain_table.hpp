// SPDX-License-Identifier: Apache-2.0
// The domain lists of the policy, merged: a name finds the longest listed domain at or above it in one walk
// from the root down, at one hash probe per label, whether the lists hold ten names or a million.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/config/policy.hpp"
#include "dns64-svc/core/wire/name.hpp"

namespace isthmus::dns64 {

enum class DomainRule : std::uint8_t { kNone, kNeverSynthesize, kAlwaysSynthesize };

class DomainTable {
 public:
  // Domains in lower-case presentation form as the policy holds them. A domain on both lists is never
  // synthesized: the careful reading of a contradiction that validation lets through.
  explicit DomainTable(const Exclusions& exclusions);

  // `name` in lower case.
  [[nodiscard]] DomainRule find(NameView name) const;
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::size_t memory() const { return slots_.size() * sizeof(Slot) + arena_.size(); }

 private:
  struct Slot {
    std::uint32_t at = 0;    // in arena_, plus one; 0: empty
    std::uint32_t hash = 0;  // spares most comparisons
  };
  void add(std::string_view domain, DomainRule rule);
  void add(const std::vector<DomainList>& lists, DomainRule rule);
  void grow();
  std::vector<Slot> slots_;
  std::vector<std::uint8_t> arena_;  // rule, size, name
  std::size_t size_ = 0;
  DomainRule root_rule_ = DomainRule::kNone;
};

}  // namespace isthmus::dns64
