// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/core/rfc7915/icmp_errors.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "nat64-svc/core/packet/parse.hpp"
#include "nat64-svc/core/rfc7915/four_to_six.hpp"
#include "nat64-svc/core/rfc7915/rewrite_l4.hpp"
#include "nat64-svc/core/rfc7915/six_to_four.hpp"

namespace isthmus::nat64 {
namespace {

using Bytes = std::span<const std::uint8_t>;

constexpr std::size_t kMaxError4 = 576;   // RFC 1812 §4.3.2.3
constexpr std::size_t kMaxError6 = 1280;  // RFC 4443 §2.4 (c)

// RFC 4884: where an ICMP error says how long the original datagram is, in which unit.
struct LengthAttribute {
  std::size_t offset;  // from the start of the ICMP header
  std::size_t unit;    // bytes
};
constexpr LengthAttribute kLength4{5, 4};
constexpr LengthAttribute kLength6{4, 8};
constexpr std::size_t kLeastExtended = 128;  // §3: an original datagram before extensions is padded to this

// §4: which errors may have extensions.
constexpr bool extensible4(std::uint8_t type) {
  return type == icmp4::kUnreachable || type == icmp4::kTimeExceeded || type == icmp4::kParameterProblem;
}
constexpr bool extensible6(std::uint8_t type) {
  return type == icmp6::kUnreachable || type == icmp6::kTimeExceeded;
}

// What an ICMP error quotes.
struct Quote {
  Bytes datagram;    // padding included
  Bytes extensions;  // the whole extension structure, or nothing
};

Quote split(Bytes icmp, bool extensible, LengthAttribute attribute) {
  const Bytes rest = icmp.subspan(kIcmpHeader);
  const std::size_t length = icmp[attribute.offset] * attribute.unit;
  if (!extensible || length < kLeastExtended || length > rest.size()) return {rest, {}};
  return {rest.first(length), rest.subspan(length)};
}

Quote quote_of(Bytes bytes, const Parsed6& outer) {
  return split(bytes.subspan(outer.l4_offset, outer.l4_length), extensible6(outer.icmp_type), kLength6);
}
Quote quote_of(Bytes bytes, const Parsed4& outer) {
  return split(bytes.subspan(outer.l4_offset, outer.l4_length), extensible4(outer.icmp_type), kLength4);
}

// Room for the translated datagram in an error with `room` bytes for it and for what of `extensions` goes
// with it: all, or nothing when the least datagram would not fit beside them.
std::size_t room_for_datagram(std::size_t room, Bytes& extensions, LengthAttribute attribute) {
  if (extensions.size() + kLeastExtended > room) extensions = {};
  if (extensions.empty()) return room;
  const std::size_t left = std::min(room - extensions.size(), 255 * attribute.unit);
  return left - left % attribute.unit;
}

// Pads the datagram that ends at `end` (`out` is zero behind it), puts the extensions after it and the length
// into the ICMP header. The new end.
std::size_t put_extensions(std::span<std::uint8_t> out, std::size_t icmp, std::size_t end, Bytes extensions,
                           LengthAttribute attribute) {
  if (extensions.empty()) return end;
  const std::size_t length = std::max(kLeastExtended, end - icmp - kIcmpHeader);
  const std::size_t units = (length + attribute.unit - 1) / attribute.unit;
  out[icmp + attribute.offset] = static_cast<std::uint8_t>(units);
  const std::size_t at = icmp + kIcmpHeader + units * attribute.unit;
  std::ranges::copy(extensions, out.begin() + static_cast<std::ptrdiff_t>(at));
  return at + extensions.size();
}

std::size_t put_icmp_header(std::uint8_t* p, IcmpError error) {
  p[0] = error.type;
  p[1] = error.code;
  store_be16(p + 2, 0);
  store_be32(p + 4, error.rest);
  return kIcmpHeader;
}

Result<void, Refusal> replace(PacketBuffer& buffer, Bytes packet) {
  // Anywhere in the frame will do; keep the front where it is if the rest fits.
  if (!buffer.resize(packet.size())) {
    const std::size_t missing = packet.size() - buffer.length() - buffer.tailroom();
    if (!buffer.grow_front(missing) || !buffer.resize(packet.size()))
      return failure(Refusal{DropReason::kNoRoom});
  }
  std::memcpy(buffer.packet().data(), packet.data(), packet.size());
  return {};
}

}  // namespace

Result<Parsed6, Refusal> parse_inside(Bytes bytes, const Parsed6& outer) {
  const Bytes icmp = bytes.subspan(outer.l4_offset, outer.l4_length);
  const Sum pseudo = pseudo_header(outer.source, outer.destination, kProtoIcmp6, outer.l4_length);
  if (fold(sum_bytes(icmp) + pseudo) != 0xffff) return failure(Refusal{DropReason::kBadChecksum});
  auto inner = parse_ipv6(quote_of(bytes, outer).datagram, Whole::kInsideError);
  if (!inner || inner->kind != Kind::kTransport) return failure(Refusal{DropReason::kIcmpErrorBadInner});
  return inner;
}

Result<Parsed4, Refusal> parse_inside(Bytes bytes, const Parsed4& outer) {
  const Bytes icmp = bytes.subspan(outer.l4_offset, outer.l4_length);
  if (fold(sum_bytes(icmp)) != 0xffff) return failure(Refusal{DropReason::kBadChecksum});
  auto inner = parse_ipv4(quote_of(bytes, outer).datagram, Whole::kInsideError);
  if (!inner || inner->kind != Kind::kTransport) return failure(Refusal{DropReason::kIcmpErrorBadInner});
  return inner;
}

Result<void, Refusal> icmp_error_six_to_four(PacketBuffer& buffer, const Parsed6& outer, const Parsed6& inner,
                                             Ipv4Address from, Ipv4Address to, const Tuple4& inner4,
                                             const Nat64Policy& policy, PathMtu path,
                                             std::uint16_t identification) {
  const Bytes bytes = buffer.packet();
  const std::uint32_t rest = load_be32(&bytes[outer.l4_offset + 4U]);
  const auto error =
      icmp_error_as_ipv4({outer.icmp_type, outer.icmp_code, rest}, path, inner.fragment_header);
  if (!error) return failure(Refusal{DropReason::kUnsupportedIcmp});
  auto [datagram, extensions] = quote_of(bytes, outer);
  if (!extensible4(error->type)) extensions = {};

  std::array<std::uint8_t, kMaxError4> out{};
  std::size_t at = kIpv4Header + put_icmp_header(&out[kIpv4Header], *error);
  const std::size_t end = at + room_for_datagram(out.size() - at, extensions, kLength4);
  // §5.3: the packet inside goes server -> client; its hop limit is left alone.
  write_ipv4(&out[at],
             ipv4_header(inner, inner.l4_claimed, inner4.server4.address, inner4.public4.address, policy, 0));
  at += kIpv4Header;
  const std::size_t l4_length = std::min<std::size_t>(inner.l4_length, end - at);
  std::memcpy(&out[at], &datagram[inner.l4_offset], l4_length);
  L4Rewrite rewrite{
      .removed = address_sum(inner.source) + address_sum(inner.destination),
      .added = address_sum(inner4.server4.address) + address_sum(inner4.public4.address),
      .source_port = inner4.server4.port,
      .destination_port = inner4.public4.port,
      .icmp_type = inner.icmp_type == icmp6::kEchoRequest ? icmp4::kEchoRequest : icmp4::kEchoReply,
  };
  if (inner.protocol == Protocol::kIcmp) {
    rewrite.removed += Sum{inner.l4_claimed} + kProtoIcmp6;
    rewrite.added = 0;
    rewrite.source_port = inner4.public4.port;
  }
  rewrite_l4(std::span{out}.subspan(at, l4_length), inner.protocol, rewrite);
  at = put_extensions(out, kIpv4Header, at + l4_length, extensions, kLength4);

  store_be16(&out[kIpv4Header + 2U],
             finish(sum_bytes(std::span{out}.subspan(kIpv4Header, at - kIpv4Header))));
  // At most 576 bytes, so without DF.
  Ipv4Fields header =
      ipv4_header(outer, static_cast<std::uint16_t>(at - kIpv4Header), from, to, policy, identification);
  --header.ttl;
  write_ipv4(out.data(), header);
  return replace(buffer, std::span{out}.first(at));
}

Result<void, Refusal> icmp_error_four_to_six(PacketBuffer& buffer, const Parsed4& outer, const Parsed4& inner,
                                             const Ipv6Address& from, const Ipv6Address& to,
                                             const Tuple6& inner6, const Nat64Policy& policy, PathMtu path) {
  const Bytes bytes = buffer.packet();
  const std::uint32_t rest = load_be32(&bytes[outer.l4_offset + 4U]);
  const auto quoted = static_cast<std::uint16_t>(inner.l4_offset + inner.l4_claimed);
  const auto error = icmp_error_as_ipv6({outer.icmp_type, outer.icmp_code, rest}, quoted, path);
  if (!error) return failure(Refusal{DropReason::kUnsupportedIcmp});
  auto [datagram, extensions] = quote_of(bytes, outer);
  if (!extensible6(error->type)) extensions = {};

  std::array<std::uint8_t, kMaxError6> out{};
  std::size_t at = kIpv6Header + put_icmp_header(&out[kIpv6Header], *error);
  const std::size_t end = at + room_for_datagram(out.size() - at, extensions, kLength6);
  // §4.3: the packet inside goes client -> server; its TTL is left alone.
  write_ipv6(&out[at],
             ipv6_header(inner, inner.l4_claimed, inner6.client6.address, inner6.server6.address, policy));
  at += kIpv6Header;
  if (inner.fragment_header) {
    write_fragment_header(&out[at], ip_protocol6(inner.protocol), inner.fragment_offset, inner.more_fragments,
                          inner.fragment_id);
    at += kFragmentHeader;
  }
  const std::size_t l4_length = std::min<std::size_t>(inner.l4_length, end - at);
  std::memcpy(&out[at], &datagram[inner.l4_offset], l4_length);
  L4Rewrite rewrite{
      .removed = address_sum(inner.source) + address_sum(inner.destination),
      .added = address_sum(inner6.client6.address) + address_sum(inner6.server6.address),
      .source_port = inner6.client6.port,
      .destination_port = inner6.server6.port,
      .icmp_type = inner.icmp_type == icmp4::kEchoRequest ? icmp6::kEchoRequest : icmp6::kEchoReply,
  };
  if (inner.protocol == Protocol::kIcmp) {
    rewrite.removed = 0;
    rewrite.added += Sum{inner.l4_claimed} + kProtoIcmp6;
  }
  rewrite_l4(std::span{out}.subspan(at, l4_length), inner.protocol, rewrite);
  at = put_extensions(out, kIpv6Header, at + l4_length, extensions, kLength6);

  const auto icmp_length = static_cast<std::uint16_t>(at - kIpv6Header);
  store_be16(&out[kIpv6Header + 2U], finish(sum_bytes(std::span{out}.subspan(kIpv6Header, icmp_length)) +
                                            pseudo_header(from, to, kProtoIcmp6, icmp_length)));
  Ipv6Fields header = ipv6_header(outer, icmp_length, from, to, policy);
  --header.hop_limit;
  write_ipv6(out.data(), header);
  return replace(buffer, std::span{out}.first(at));
}

}  // namespace isthmus::nat64
