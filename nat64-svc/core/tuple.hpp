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

// A tuple as what its hash is made of. IPv4 addresses are the high word.
struct TupleWords {
  struct Address {
    std::uint64_t high = 0, low = 0;
  };
  Address client, server;  // IPv4: public4 and server4
  std::uint64_t ports = 0;
};

[[nodiscard]] constexpr std::uint64_t tuple_ports(Protocol protocol, std::uint16_t client,
                                                  std::uint16_t server) {
  return std::uint64_t{client} << 32 | std::uint64_t{server} << 8 | static_cast<std::uint64_t>(protocol);
}
[[nodiscard]] inline TupleWords words_of(const Tuple6& t) {
  return {{t.client6.address.high(), t.client6.address.low()},
          {t.server6.address.high(), t.server6.address.low()},
          tuple_ports(t.protocol, t.client6.port, t.server6.port)};
}
[[nodiscard]] inline TupleWords words_of(const Tuple4& t) {
  return {{t.public4.address.value(), 0},
          {t.server4.address.value(), 0},
          tuple_ports(t.protocol, t.public4.port, t.server4.port)};
}

}  // namespace isthmus::nat64
