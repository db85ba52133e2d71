// SPDX-License-Identifier: Apache-2.0
// RFC 6146 §2: the 5-tuple of a packet, or the 3-tuple of an ICMP query (its identifier sits in the client's
// port, the server's port is 0). Named by role, so the same tuple describes both directions.
#pragma once

#include "common/config/policy.hpp"
#include "common/net/transport_address.hpp"

namespace isthmus::nat64 {

struct Tuple6 {
  Protocol protocol = Protocol::kTcp;
  TransportAddress6 client6;
  TransportAddress6 server6;
  bool operator==(const Tuple6&) const = default;
};

struct Tuple4 {
  Protocol protocol = Protocol::kTcp;
  TransportAddress4 public4;
  TransportAddress4 server4;
  bool operator==(const Tuple4&) const = default;
};

}  // namespace isthmus::nat64
