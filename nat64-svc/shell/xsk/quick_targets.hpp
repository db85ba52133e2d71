// SPDX-License-Identifier: Apache-2.0
// The few prefixes and address ranges that the steering program compares before it walks its tries: a walk
// costs a few cache lines for each packet, and a pool of single addresses makes a deep trie. Pure.
#pragma once

#include <set>

#include "common/net/prefix.hpp"
#include "nat64-svc/shell/xsk/steer_maps.h"

namespace isthmus::nat64 {

// The shortest prefixes, and the largest ranges once adjacent addresses are joined; STEER_QUICK of each. The
// rest is found in the tries.
[[nodiscard]] steer_quick quick_targets(const std::set<Ipv6Prefix>& prefixes,
                                        const std::set<Ipv4Prefix>& addresses);

}  // namespace isthmus::nat64
