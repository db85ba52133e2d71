// SPDX-License-Identifier: Apache-2.0
// pcapng (draft-ietf-opsawg-pcapng) of bare IP packets: one interface, times
// in nanoseconds, the direction in the flags, worker and verdict in a comment. Pure: appends to a string.
// Numbers are little-endian, as the byte-order magic says.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace isthmus::nat64::pcapng {

// Section header and the interface.
void begin(std::string& out, std::uint32_t snap_length, std::string_view node);

struct Packet {
  std::uint64_t unix_nanoseconds = 0;
  std::uint32_t length = 0;             // on the wire
  std::span<const std::uint8_t> bytes;  // at most `length`
  bool outbound = false;
  std::string_view comment;
};
void add(std::string& out, const Packet& packet);

}  // namespace isthmus::nat64::pcapng
