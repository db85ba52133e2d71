// SPDX-License-Identifier: Apache-2.0
// What the fragments of one packet tell about all of it (RFC 6146 §3.4): the first one the ports, the last
// one the length. It travels with a fragment that is handed to another worker, who cannot know it otherwise.
#pragma once

#include <cstdint>

namespace isthmus::nat64 {

struct FragmentNote {
  bool has_ports = false;
  std::uint16_t source_port = 0;  // ICMP: the identifier, in both
  std::uint16_t destination_port = 0;
  std::uint16_t length = 0;  // of the whole transport packet, in bytes; 0: not known
  bool operator==(const FragmentNote&) const = default;
};

}  // namespace isthmus::nat64
