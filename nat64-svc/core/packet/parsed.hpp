// SPDX-License-Identifier: Apache-2.0
// A packet after its headers were checked: whoever holds one need not look at lengths again.
#pragma once

#include <cstdint>

#include "common/config/policy.hpp"
#include "common/net/ipv4_address.hpp"
#include "common/net/ipv6_address.hpp"

namespace isthmus::nat64 {

inline constexpr std::uint8_t kProtoIcmp = 1, kProtoTcp = 6, kProtoUdp = 17, kProtoIcmp6 = 58;
inline constexpr std::uint16_t kIpv4Header = 20, kIpv6Header = 40, kFragmentHeader = 8, kIcmpHeader = 8;

namespace tcp_flag {
inline constexpr std::uint8_t kFin = 1, kSyn = 2, kRst = 4, kAck = 16;
}

enum class Kind : std::uint8_t {
  kTransport,      // TCP, UDP or ICMP echo with its ports (ICMP: the identifier) known
  kIcmpError,      // carries a packet inside
  kLaterFragment,  // ports or identifier unknown
};

struct Parsed {
  Kind kind = Kind::kTransport;
  Protocol protocol = Protocol::kTcp;
  std::uint8_t traffic_class = 0;  // or TOS
  std::uint8_t hop_limit = 0;      // or TTL
  std::uint8_t icmp_type = 0;
  std::uint8_t icmp_code = 0;
  std::uint8_t tcp_flags = 0;
  bool dont_fragment = false;    // IPv4 only
  bool fragment_header = false;  // IPv6: one is there. IPv4: is a fragment
  bool more_fragments = false;
  std::uint16_t fragment_offset = 0;  // bytes
  std::uint32_t fragment_id = 0;
  std::uint16_t l4_offset = 0;   // from the start of the packet
  std::uint16_t l4_length = 0;   // bytes that are there
  std::uint16_t l4_claimed = 0;  // bytes that the header says; more than there inside ICMP errors, and in the
                                 // first fragment of an echo once the last one has told the whole length
  std::uint16_t source_port = 0;  // ICMP: the identifier, in both
  std::uint16_t destination_port = 0;

  [[nodiscard]] bool is_fragment() const { return more_fragments || fragment_offset != 0; }
  [[nodiscard]] bool has_l4_header() const { return fragment_offset == 0; }
  [[nodiscard]] std::uint16_t total_length() const {
    return static_cast<std::uint16_t>(l4_offset + l4_length);
  }
};

struct Parsed6 : Parsed {
  Ipv6Address source;
  Ipv6Address destination;
};

struct Parsed4 : Parsed {
  Ipv4Address source;
  Ipv4Address destination;
};

}  // namespace isthmus::nat64
