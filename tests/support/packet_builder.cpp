// SPDX-License-Identifier: Apache-2.0
#include "tests/support/packet_builder.hpp"

#include "common/net/checksum.hpp"

namespace isthmus::test {
namespace {

void put16(Bytes& out, std::uint16_t v) {
  out.push_back(static_cast<std::uint8_t>(v >> 8));
  out.push_back(static_cast<std::uint8_t>(v));
}
void put32(Bytes& out, std::uint32_t v) {
  put16(out, static_cast<std::uint16_t>(v >> 16));
  put16(out, static_cast<std::uint16_t>(v));
}
void append(Bytes& out, const Bytes& more) {
  out.insert(out.end(), more.begin(), more.end());
}

}  // namespace

PacketBuilder PacketBuilder::ipv6(std::string_view source, std::string_view destination) {
  PacketBuilder p;
  p.v6_ = true;
  p.source6_ = Ipv6Address::parse(source).value();
  p.destination6_ = Ipv6Address::parse(destination).value();
  return p;
}
PacketBuilder PacketBuilder::ipv4(std::string_view source, std::string_view destination) {
  PacketBuilder p;
  p.source4_ = Ipv4Address::parse(source).value();
  p.destination4_ = Ipv4Address::parse(destination).value();
  return p;
}
PacketBuilder& PacketBuilder::ttl(std::uint8_t value) {
  ttl_ = value;
  return *this;
}
PacketBuilder& PacketBuilder::traffic_class(std::uint8_t value) {
  traffic_class_ = value;
  return *this;
}
PacketBuilder& PacketBuilder::df(bool on) {
  df_ = on;
  return *this;
}
PacketBuilder& PacketBuilder::id(std::uint16_t value) {
  id_ = value;
  return *this;
}
PacketBuilder& PacketBuilder::fragment(std::uint16_t offset, bool more, std::uint32_t identification) {
  fragment_ = true;
  offset_ = offset;
  more_ = more;
  fragment_id_ = identification;
  id_ = static_cast<std::uint16_t>(identification);
  return *this;
}
PacketBuilder& PacketBuilder::extension(std::uint8_t type, Bytes header) {
  extensions_.emplace_back(type, std::move(header));
  return *this;
}
PacketBuilder& PacketBuilder::options(Bytes bytes) {
  options_ = std::move(bytes);
  return *this;
}
PacketBuilder& PacketBuilder::udp(std::uint16_t source, std::uint16_t destination) {
  l4_ = L4::kUdp;
  source_port_ = source;
  destination_port_ = destination;
  return *this;
}
PacketBuilder& PacketBuilder::udp_without_checksum() {
  checksum_ = false;
  return *this;
}
PacketBuilder& PacketBuilder::tcp(std::uint16_t source, std::uint16_t destination, std::uint8_t flags) {
  l4_ = L4::kTcp;
  source_port_ = source;
  destination_port_ = destination;
  flags_ = flags;
  return *this;
}
PacketBuilder& PacketBuilder::tcp_options(Bytes bytes) {
  tcp_options_ = std::move(bytes);
  return *this;
}
PacketBuilder& PacketBuilder::echo(std::uint8_t type, std::uint16_t identifier, std::uint16_t sequence) {
  return icmp(type, 0, std::uint32_t{identifier} << 16 | sequence);
}
PacketBuilder& PacketBuilder::icmp(std::uint8_t type, std::uint8_t code, std::uint32_t rest, Bytes inside) {
  l4_ = L4::kIcmp;
  type_ = type;
  code_ = code;
  rest_ = rest;
  if (!inside.empty()) payload_ = std::move(inside);
  return *this;
}
PacketBuilder& PacketBuilder::protocol(std::uint8_t number) {
  number_ = number;
  return *this;
}
PacketBuilder& PacketBuilder::payload(std::string_view text) {
  payload_.assign(text.begin(), text.end());
  return *this;
}
PacketBuilder& PacketBuilder::payload(std::size_t length) {
  payload_.resize(length);
  for (std::size_t i = 0; i < length; ++i) payload_[i] = static_cast<std::uint8_t>(i * 7);
  return *this;
}

std::uint8_t PacketBuilder::protocol_number() const {
  if (number_ != 0) return number_;
  switch (l4_) {
    case L4::kUdp:
      return 17;
    case L4::kTcp:
      return 6;
    case L4::kIcmp:
      return v6_ ? 58 : 1;
    case L4::kNone:
      break;
  }
  return 59;
}

Bytes PacketBuilder::transport() const {
  Bytes out;
  std::size_t checksum_at = 0;
  switch (l4_) {
    case L4::kNone:
      return payload_;
    case L4::kUdp:
      put16(out, source_port_);
      put16(out, destination_port_);
      put16(out, static_cast<std::uint16_t>(8 + payload_.size()));
      put16(out, 0);
      checksum_at = 6;
      break;
    case L4::kTcp:
      put16(out, source_port_);
      put16(out, destination_port_);
      put32(out, 0x01020304);
      put32(out, 0x05060708);
      out.push_back(static_cast<std::uint8_t>((20 + tcp_options_.size()) / 4 << 4));
      out.push_back(flags_);
      put16(out, 0x7000);
      put32(out, 0);
      append(out, tcp_options_);
      checksum_at = 16;
      break;
    case L4::kIcmp:
      out = {type_, code_, 0, 0};
      put32(out, rest_);
      checksum_at = 2;
      break;
  }
  append(out, payload_);
  if (!checksum_) return out;
  const auto length = static_cast<std::uint32_t>(out.size());
  Sum sum = sum_bytes(out);
  if (v6_)
    sum += pseudo_header(source6_, destination6_, protocol_number(), length);
  else if (l4_ != L4::kIcmp)
    sum += pseudo_header(source4_, destination4_, protocol_number(), length);
  std::uint16_t checksum = finish(sum);
  if (l4_ == L4::kUdp && checksum == 0) checksum = 0xffff;
  store_be16(&out[checksum_at], checksum);
  return out;
}

Bytes PacketBuilder::with_ipv4(const Bytes& l4) const {
  Bytes out;
  const std::size_t header = 20 + options_.size();
  out.push_back(static_cast<std::uint8_t>(0x40 | header / 4));
  out.push_back(traffic_class_);
  put16(out, static_cast<std::uint16_t>(header + l4.size()));
  put16(out, id_);
  put16(out, static_cast<std::uint16_t>((df_ ? 0x4000 : 0) | (more_ ? 0x2000 : 0) | offset_ / 8));
  out.push_back(ttl_);
  out.push_back(protocol_number());
  put16(out, 0);
  put32(out, source4_.value());
  put32(out, destination4_.value());
  append(out, options_);
  store_be16(&out[10], finish(sum_bytes(out)));
  append(out, l4);
  return out;
}

Bytes PacketBuilder::with_ipv6(const Bytes& l4) const {
  auto chain = extensions_;
  if (fragment_) {
    Bytes header{0, 0};
    put16(header, static_cast<std::uint16_t>(offset_ | (more_ ? 1 : 0)));
    put32(header, fragment_id_);
    chain.emplace_back(44, std::move(header));
  }
  Bytes body;
  for (std::size_t i = 0; i < chain.size(); ++i) {
    auto header = chain[i].second;
    header[0] = i + 1 < chain.size() ? chain[i + 1].first : protocol_number();
    append(body, header);
  }
  append(body, l4);
  Bytes out;
  put32(out, std::uint32_t{6} << 28 | std::uint32_t{traffic_class_} << 20);
  put16(out, static_cast<std::uint16_t>(body.size()));
  out.push_back(chain.empty() ? protocol_number() : chain.front().first);
  out.push_back(ttl_);
  out.insert(out.end(), source6_.bytes().begin(), source6_.bytes().end());
  out.insert(out.end(), destination6_.bytes().begin(), destination6_.bytes().end());
  append(out, body);
  return out;
}

Bytes PacketBuilder::bytes() const {
  return v6_ ? with_ipv6(transport()) : with_ipv4(transport());
}

std::string describe(const Bytes& p) {
  if (p.size() >= 40 && p[0] >> 4 == 6) {
    std::string text = Ipv6Address::load(&p[8]).to_string() + " > " + Ipv6Address::load(&p[24]).to_string() +
                       " next " + std::to_string(p[6]);
    if (p.size() >= 44)
      text += " " + std::to_string(load_be16(&p[40])) + ">" + std::to_string(load_be16(&p[42]));
    return text + " length " + std::to_string(p.size());
  }
  if (p.size() >= 20 && p[0] >> 4 == 4) {
    std::string text = Ipv4Address::load(&p[12]).to_string() + " > " + Ipv4Address::load(&p[16]).to_string() +
                       " protocol " + std::to_string(p[9]);
    if (p.size() >= 24)
      text += " " + std::to_string(load_be16(&p[20])) + ">" + std::to_string(load_be16(&p[22]));
    return text + " length " + std::to_string(p.size());
  }
  return "not IP, length " + std::to_string(p.size());
}

std::string checksum_fault(const Bytes& p) {
  const std::span<const std::uint8_t> all{p};
  const bool v4 = p.size() >= 20 && p[0] >> 4 == 4;
  if (!v4 && (p.size() < 40 || p[0] >> 4 != 6)) return "not IP";
  const std::size_t at = v4 ? std::size_t{p[0]} % 16 * 4 : 40;
  const std::uint8_t protocol = v4 ? p[9] : p[6];
  if (v4) {
    if (at < 20 || at > p.size()) return "IPv4 header length";
    if (fold(sum_bytes(all.first(at))) != 0xffff) return "IPv4 header checksum";
    if ((load_be16(&p[6]) & 0x3fff) != 0) return "";  // a fragment
  }
  if (protocol != 6 && protocol != 17 && protocol != (v4 ? 1 : 58)) return "";
  auto l4 = all.subspan(at);
  if (protocol == 17) {  // its own length counts, there may be bytes behind it
    if (l4.size() < 8 || load_be16(&l4[4]) < 8 || load_be16(&l4[4]) > l4.size()) return "UDP length";
    l4 = l4.first(load_be16(&l4[4]));
    if (load_be16(&l4[6]) == 0) return v4 ? "" : "UDP without checksum over IPv6";
  }
  const auto length = static_cast<std::uint32_t>(l4.size());
  Sum sum = sum_bytes(l4);
  if (!v4)
    sum += pseudo_header(Ipv6Address::load(&p[8]), Ipv6Address::load(&p[24]), protocol, length);
  else if (protocol != 1)
    sum += pseudo_header(Ipv4Address::load(&p[12]), Ipv4Address::load(&p[16]), protocol, length);
  return fold(sum) == 0xffff ? "" : "transport checksum";
}

}  // namespace isthmus::test
