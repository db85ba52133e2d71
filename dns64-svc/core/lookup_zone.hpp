// SPDX-License-Identifier: Apache-2.0
// Which lookups share a limit: those whose names end alike, since their servers are likely the same.
#pragma once

#include "dns64-svc/core/wire/name.hpp"

namespace isthmus::dns64 {

// The end of `lower_case` that counts as its zone: two labels, but all of the Internet's reverse names would
// share those of in-addr.arpa and ip6.arpa. There it is a /16 (four labels) and a /32 (ten): what registries
// delegate.
[[nodiscard]] NameView lookup_zone(NameView lower_case);

}  // namespace isthmus::dns64
