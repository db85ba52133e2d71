// SPDX-License-Identifier: Apache-2.0
// Small stable numbers for resolver configurations: two resolvers that would resolve alike share one group
// and so one set of facts, and a group keeps its number while policies come and go, so a policy push is no
// miss storm. Owned by the shell beside the cache; not thread-safe (policies are compiled by one thread).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "common/config/policy.hpp"

namespace isthmus::dns64 {

class ResolverGroups {
 public:
  // The group of `resolver`; its name does not matter, all else does. At most 65535 in a process's life, then
  // nothing: the policy is refused (NODE_CANNOT).
  [[nodiscard]] std::optional<std::uint16_t> id_of(const Resolver& resolver);
  [[nodiscard]] const Resolver& resolver(std::uint16_t id) const { return resolvers_[id]; }
  [[nodiscard]] std::size_t size() const { return resolvers_.size(); }

 private:
  std::vector<Resolver> resolvers_;  // index: group
};

}  // namespace isthmus::dns64
