// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/core/resolver_groups.hpp"

#include <algorithm>

namespace isthmus::dns64 {

std::optional<std::uint16_t> ResolverGroups::id_of(const Resolver& resolver) {
  Resolver nameless = resolver;
  nameless.name.clear();
  const auto known = std::find(resolvers_.begin(), resolvers_.end(), nameless);
  if (known != resolvers_.end()) return static_cast<std::uint16_t>(known - resolvers_.begin());
  if (resolvers_.size() == 0xffff) return std::nullopt;
  resolvers_.push_back(std::move(nameless));
  return static_cast<std::uint16_t>(resolvers_.size() - 1);
}

}  // namespace isthmus::dns64
