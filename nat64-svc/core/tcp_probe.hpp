// SPDX-License-Identifier: Apache-2.0
// RFC 6146 §3.5.2.2: the probe that asks a silent client whether its established connection still lives: a
// TCP segment from the server with nothing but ACK.
#pragma once

#include <array>
#include <span>

#include "nat64-svc/core/packet/write.hpp"
#include "nat64-svc/core/tuple.hpp"

namespace isthmus::nat64 {

[[nodiscard]] inline std::array<std::uint8_t, 60> tcp_probe(const Tuple6& tuple) {
  std::array<std::uint8_t, 60> out{};
  write_ipv6(out.data(), {0, 20, kProtoTcp, 64, tuple.server6.address, tuple.client6.address});
  std::uint8_t* tcp = &out[kIpv6Header];
  store_be16(tcp, tuple.server6.port);
  store_be16(tcp + 2, tuple.client6.port);
  tcp[12] = 5 << 4;
  tcp[13] = tcp_flag::kAck;
  store_be16(tcp + 16, finish(sum_bytes(std::span{out}.subspan(kIpv6Header)) +
                              pseudo_header(tuple.server6.address, tuple.client6.address, kProtoTcp, 20)));
  return out;
}

}  // namespace isthmus::nat64
