// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/capture/pcapng.hpp"

namespace isthmus::nat64::pcapng {
namespace {

constexpr std::uint32_t kSectionHeader = 0x0a0d0d0a, kInterface = 1, kEnhancedPacket = 6;
constexpr std::uint16_t kEndOfOptions = 0, kComment = 1, kInterfaceName = 2, kFlags = 2, kHardware = 2,
                        kApplication = 4, kResolution = 9;
// LINKTYPE_RAW: IPv4 or IPv6 by the version. One interface for both: libpcap before 1.10.4 reads no file with
// two of this type.
constexpr std::uint16_t kLinkRaw = 101;

void put16(std::string& out, std::uint16_t value) {
  out += static_cast<char>(value & 0xff);
  out += static_cast<char>(value >> 8);
}
void put32(std::string& out, std::uint32_t value) {
  put16(out, static_cast<std::uint16_t>(value & 0xffff));
  put16(out, static_cast<std::uint16_t>(value >> 16));
}
void pad(std::string& out, std::size_t length) {
  out.append((4 - length % 4) % 4, '\0');
}
void option(std::string& out, std::uint16_t code, std::string_view value) {
  put16(out, code);
  put16(out, static_cast<std::uint16_t>(value.size()));
  out += value;
  pad(out, value.size());
}
void block(std::string& out, std::uint32_t type, const std::string& body) {
  const auto length = static_cast<std::uint32_t>(body.size() + 12);
  put32(out, type);
  put32(out, length);
  out += body;
  put32(out, length);
}

void interface(std::string& out, std::uint32_t snap_length, std::string_view name) {
  std::string body;
  put16(body, kLinkRaw);
  put16(body, 0);
  put32(body, snap_length);
  option(body, kInterfaceName, name);
  option(body, kResolution, std::string_view("\x09", 1));  // 10^-9 s
  option(body, kEndOfOptions, {});
  block(out, kInterface, body);
}

}  // namespace

void begin(std::string& out, std::uint32_t snap_length, std::string_view node) {
  std::string body;
  put32(body, 0x1a2b3c4d);  // byte-order magic
  put16(body, 1);           // version 1.0
  put16(body, 0);
  put32(body, 0xffffffff);  // the section's length is not known
  put32(body, 0xffffffff);
  option(body, kHardware, node);
  option(body, kApplication, "Isthmus nat64-svc");
  option(body, kEndOfOptions, {});
  block(out, kSectionHeader, body);
  interface(out, snap_length, "isthmus");
}

void add(std::string& out, const Packet& packet) {
  std::string body;
  put32(body, 0);  // the interface
  put32(body, static_cast<std::uint32_t>(packet.unix_nanoseconds >> 32));
  put32(body, static_cast<std::uint32_t>(packet.unix_nanoseconds & 0xffffffff));
  put32(body, static_cast<std::uint32_t>(packet.bytes.size()));
  put32(body, packet.length);
  body.append(packet.bytes.begin(), packet.bytes.end());
  pad(body, packet.bytes.size());
  std::string flags;
  put32(flags, packet.outbound ? 2 : 1);
  option(body, kFlags, flags);
  option(body, kComment, packet.comment);
  option(body, kEndOfOptions, {});
  block(out, kEnhancedPacket, body);
}

}  // namespace isthmus::nat64::pcapng
