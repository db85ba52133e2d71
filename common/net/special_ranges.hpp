// SPDX-License-Identifier: Apache-2.0
// IANA's special-purpose IPv4 registry (RFC 6890 and successors) as one table.
#pragma once

#include "common/net/ipv4_address.hpp"
#include "common/net/prefix.hpp"

namespace isthmus {

// True for addresses that RFC 6052 §3.1 calls non-global: RFC 1918 and the special uses of RFC 5735's
// successors. Such an address must not be represented in the well-known prefix 64:ff9b::/96.
[[nodiscard]] bool is_non_global(Ipv4Address address);

}  // namespace isthmus
