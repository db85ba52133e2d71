// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/core/request.hpp"

#include "common/net/byte_reader.hpp"
#include "dns64-svc/core/wire/message_view.hpp"

namespace isthmus::dns64 {
namespace {

constexpr std::uint16_t kFamilyIpv4 = 1, kFamilyIpv6 = 2;

unsigned bits_of(std::uint16_t family) {
  return family == kFamilyIpv4 ? 32 : 128;
}

// RFC 7871 §6: family, two lengths, as many address bytes as the source length needs, and no bit beyond it.
bool read_subnet(std::span<const std::uint8_t> data, Edns& edns) {
  ByteReader in{data};
  ClientSubnet subnet;
  subnet.family = in.u16();
  subnet.source_length = in.u8();
  const auto scope_length = in.u8();
  if (!in.ok() || scope_length != 0 || subnet.source_length > bits_of(subnet.family)) return false;
  if (in.remaining() != (subnet.source_length + 7U) / 8U) return false;
  const auto address = in.span(in.remaining());
  std::memcpy(subnet.address.data(), address.data(), address.size());
  const unsigned spare = (8U - subnet.source_length % 8U) % 8U;
  if (!address.empty() && (address.back() & ((1U << spare) - 1)) != 0) return false;
  edns.subnet = subnet;
  return true;
}

bool read_option(std::uint16_t code, std::span<const std::uint8_t> data, Edns& edns) {
  switch (code) {
    case option::kCookie:
      if (edns.cookie_size != 0) return true;  // RFC 7873 §5.2: only the first one counts
      // §5.2.2: 8 bytes, or 16 to 40.
      if (data.size() != 8 && (data.size() < 16 || data.size() > edns.cookie.size())) return false;
      std::memcpy(edns.cookie.data(), data.data(), data.size());
      edns.cookie_size = static_cast<std::uint8_t>(data.size());
      return true;
    case option::kClientSubnet:
      return read_subnet(data, edns);
    case option::kPadding:
      edns.padding = true;
      return true;
    case option::kTcpKeepalive:
      edns.keepalive = true;
      edns.keepalive_has_value = !data.empty();
      return true;
    default:
      return true;  // RFC 6891 §6.1.2: unknown options are ignored
  }
}

bool read_opt(const RecordView& record, Edns& edns) {
  edns.present = true;
  edns.udp_size = record.klass;
  edns.version = static_cast<std::uint8_t>(record.ttl >> 16);
  edns.dnssec_ok = (record.ttl & 0x8000) != 0;
  if (edns.version != 0) return true;  // options of another version are not ours to read
  ByteReader in{record.rdata};
  while (in.remaining() > 0) {
    const auto code = in.u16();
    const auto length = in.u16();
    const auto data = in.span(length);
    if (!in.ok() || !read_option(code, data, edns)) return false;
  }
  return true;
}

// Both names are made from the message: a copy of a copy would wait for the bytes that were just written.
bool read_name(std::span<const std::uint8_t> bytes, std::size_t& at, Request& request) {
  if (const auto plain = plain_name(bytes.subspan(at)); !plain.empty()) {
    request.asked.assign(plain);
    request.name.assign_folded(plain);
    at += plain.size();
    return true;
  }
  const auto name = Name::read(bytes, at);
  if (!name) return false;
  request.asked = *name;
  request.name.assign_folded(name->view());
  return true;
}

Outcome read_body(std::span<const std::uint8_t> bytes, const Header& header, Request& request) {
  // RFC 7873 §5.4 allows a query without question that asks for a cookie; nothing else may come without one.
  std::size_t at = kHeaderSize;
  if (header.questions == 1) {
    if (!read_name(bytes, at, request) || bytes.size() - at < 4) return Outcome::kFormErr;
    request.type = load_be16(&bytes[at]);
    request.klass = load_be16(&bytes[at + 2]);
    request.has_question = true;
    at += 4;
  } else if (header.questions != 0) {
    return Outcome::kFormErr;
  }
  MessageView::Cursor records{bytes, at, header};
  while (const auto record = records.next()) {
    if (record->type != rr::kOpt || record->section != Section::kAdditional) continue;
    // RFC 6891 §6.1.1: one OPT, owned by the root.
    if (request.edns.present || bytes[record->owner_at] != 0) return Outcome::kFormErr;
    if (!read_opt(*record, request.edns)) return Outcome::kFormErr;
  }
  if (records.error() || header.answers != 0 || header.authorities != 0) return Outcome::kFormErr;
  if (request.edns.version != 0) return Outcome::kBadVers;
  if (!request.has_question) return request.edns.cookie_size != 0 ? Outcome::kCookieOnly : Outcome::kFormErr;
  return Outcome::kPassed;
}

}  // namespace

std::optional<ClientAddress> ClientSubnet::client() const {
  if (source_length == 0) return std::nullopt;
  if (family == kFamilyIpv4) return Ipv4Address::load(address.data());
  if (family == kFamilyIpv6) return Ipv6Address::load(address.data());
  return std::nullopt;
}

std::optional<DropReason> parse_request(std::span<const std::uint8_t> bytes, Request& request) {
  const auto header = read_header(bytes);
  if (!header) return DropReason::kTooShort;
  if (header->is_response()) return DropReason::kNotAQuery;
  request.id = header->id;
  request.flags = header->flags;
  // RFC 6891 §6.1.1: who sends OPT gets OPT, so it is looked for whatever else is wrong.
  request.verdict = read_body(bytes, *header, request);
  if (header->opcode() != 0) request.verdict = Outcome::kNotImp;
  return std::nullopt;
}

}  // namespace isthmus::dns64
