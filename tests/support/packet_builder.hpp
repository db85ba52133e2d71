// SPDX-License-Identifier: Apache-2.0
// Packets for tests, spelled out: ipv6("2001:db8::1", "64:ff9b::c000:221").udp(1000, 53).payload("hello").
// Lengths and checksums are filled in by bytes() and are right unless a test breaks them afterwards.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/net/ipv4_address.hpp"
#include "common/net/ipv6_address.hpp"

namespace isthmus::test {

using Bytes = std::vector<std::uint8_t>;

class PacketBuilder {
 public:
  static PacketBuilder ipv6(std::string_view source, std::string_view destination);
  static PacketBuilder ipv4(std::string_view source, std::string_view destination);

  PacketBuilder& ttl(std::uint8_t value);            // or hop limit; default 64
  PacketBuilder& traffic_class(std::uint8_t value);  // or TOS
  PacketBuilder& df(bool on = true);
  PacketBuilder& id(std::uint16_t value);
  // IPv4: flags and offset; IPv6: a fragment header. `offset` in bytes. The payload is what this fragment
  // carries.
  PacketBuilder& fragment(std::uint16_t offset, bool more, std::uint32_t identification);
  // IPv6: an extension header, whole (length a multiple of 8); its next header is filled in. IPv4: options,
  // likewise 4.
  PacketBuilder& extension(std::uint8_t type, Bytes header);
  PacketBuilder& options(Bytes bytes);

  PacketBuilder& udp(std::uint16_t source, std::uint16_t destination);
  PacketBuilder& udp_without_checksum();
  PacketBuilder& tcp(std::uint16_t source, std::uint16_t destination, std::uint8_t flags);
  PacketBuilder& tcp_options(Bytes bytes);  // a multiple of 4
  PacketBuilder& echo(std::uint8_t type, std::uint16_t identifier, std::uint16_t sequence = 1);
  // An ICMP error; `rest` is the word after the checksum, `inside` follows.
  PacketBuilder& icmp(std::uint8_t type, std::uint8_t code, std::uint32_t rest, Bytes inside = {});
  PacketBuilder& protocol(std::uint8_t number);  // bare payload
  PacketBuilder& payload(std::string_view text);
  PacketBuilder& payload(std::size_t length);  // counting bytes

  [[nodiscard]] Bytes bytes() const;

 private:
  enum class L4 { kNone, kUdp, kTcp, kIcmp };
  [[nodiscard]] Bytes transport() const;
  [[nodiscard]] Bytes with_ipv4(const Bytes& l4) const;
  [[nodiscard]] Bytes with_ipv6(const Bytes& l4) const;
  [[nodiscard]] std::uint8_t protocol_number() const;

  bool v6_ = false;
  Ipv6Address source6_, destination6_;
  Ipv4Address source4_, destination4_;
  std::uint8_t ttl_ = 64, traffic_class_ = 0;
  bool df_ = false, more_ = false, fragment_ = false;
  std::uint16_t id_ = 0, offset_ = 0;
  std::uint32_t fragment_id_ = 0;
  std::vector<std::pair<std::uint8_t, Bytes>> extensions_;
  Bytes options_, tcp_options_;
  L4 l4_ = L4::kNone;
  std::uint8_t number_ = 0, flags_ = 0, type_ = 0, code_ = 0;
  std::uint16_t source_port_ = 0, destination_port_ = 0;
  std::uint32_t rest_ = 0;
  bool checksum_ = true;
  Bytes payload_;
};

// One line for failures: addresses, protocol, ports, length. Never fails.
[[nodiscard]] std::string describe(const Bytes& packet);
// Every checksum that can be verified is right (IPv4 header; TCP, UDP, ICMP of whole packets); the text says
// which is not, empty when all are.
[[nodiscard]] std::string checksum_fault(const Bytes& packet);

}  // namespace isthmus::test
