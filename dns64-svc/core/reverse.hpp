// SPDX-License-Identifier: Apache-2.0
// Reverse names (RFC 6147 §5.3.1): from an ip6.arpa name to the address, and from an IPv4 address to its
// in-addr.arpa name.
#pragma once

#include <optional>

#include "common/net/ipv4_address.hpp"
#include "common/net/ipv6_address.hpp"
#include "dns64-svc/core/wire/name.hpp"

namespace isthmus::dns64 {

// The address of a whole ip6.arpa name (32 nibbles, RFC 3596 §2.5); nothing for any other name. `name` in
// lower case.
[[nodiscard]] std::optional<Ipv6Address> address_of_ip6_arpa(NameView name);
[[nodiscard]] Name in_addr_arpa_name(Ipv4Address address);

}  // namespace isthmus::dns64
