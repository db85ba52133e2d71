// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/core/packet/parse.hpp"

#include "common/net/checksum.hpp"

namespace isthmus::nat64 {
namespace {

using Bytes = std::span<const std::uint8_t>;

// The functions below return false when they wrote to `why`. (An optional would be copied at every level,
// right after it was written: a stall per packet.)
[[nodiscard, gnu::cold]] bool refuse(Refusal& why, Refusal because) {
  why = because;
  return false;
}

constexpr int kMaxExtensions = 8;
constexpr std::uint8_t kHopByHop = 0, kRouting = 43, kFragment = 44, kDestinationOptions = 60;

// Where the walk over extension headers ended (RFC 8200 §4).
struct UpperLayer {
  std::uint8_t protocol = 0;
  std::size_t offset = kIpv6Header;
};

void read_fragment_header(Bytes bytes, std::size_t at, Parsed& out) {
  const std::uint16_t field = load_be16(&bytes[at + 2]);
  out.fragment_header = true;
  out.fragment_offset = field & 0xfff8;
  out.more_fragments = (field & 1) != 0;
  out.fragment_id = load_be32(&bytes[at + 4]);
}

constexpr bool is_extension(std::uint8_t protocol) {
  return protocol == kHopByHop || protocol == kRouting || protocol == kFragment ||
         protocol == kDestinationOptions;
}

bool walk_extensions(Bytes bytes, UpperLayer& at, Parsed& out, Refusal& why) {
  for (int count = 0;; ++count) {
    if (!is_extension(at.protocol)) return true;
    if (count == kMaxExtensions) return refuse(why, DropReason::kTooManyExtensions);
    if (at.offset + 8 > bytes.size()) return refuse(why, DropReason::kTruncated);
    const std::uint8_t next = bytes[at.offset];
    std::size_t length = 8;
    if (at.protocol == kFragment) {
      // RFC 7915 §5.1.1: it would be in the first fragment alone, and the offsets of the others count it.
      if (is_extension(next)) return refuse(why, DropReason::kBadHeader);
      read_fragment_header(bytes, at.offset, out);
    } else {
      length = (std::size_t{bytes[at.offset + 1]} + 1) * 8;
      // RFC 7915 §5.1: with segments left the packet is not translated; the pointer names that field.
      if (at.protocol == kRouting && bytes[at.offset + 3] != 0) {
        const auto pointer = static_cast<std::uint32_t>(at.offset + 3);
        return refuse(why, Refusal{DropReason::kRoutingHeader, {icmp6::kParameterProblem, 0, pointer}});
      }
    }
    if (at.offset + length > bytes.size()) return refuse(why, DropReason::kTruncated);
    at = {next, at.offset + length};
    if (out.fragment_offset != 0) return true;  // what follows is the middle of something
  }
}

bool read_tcp(Bytes l4, Whole whole, Parsed& out, Refusal& why) {
  out.protocol = Protocol::kTcp;
  const std::size_t least = whole == Whole::kYes ? 20 : 8;
  if (l4.size() < least)
    return refuse(why, out.more_fragments ? DropReason::kTinyFragment : DropReason::kTruncated);
  out.source_port = load_be16(&l4[0]);
  out.destination_port = load_be16(&l4[2]);
  if (whole == Whole::kInsideError) return true;
  const std::size_t header = std::size_t{l4[12]} >> 4 << 2;
  if (header < 20) return refuse(why, DropReason::kBadHeader);
  if (header > l4.size())
    return refuse(why, out.more_fragments ? DropReason::kTinyFragment : DropReason::kTruncated);
  out.tcp_flags = l4[13];
  return true;
}

bool read_udp(Bytes l4, Whole whole, Parsed& out, Refusal& why) {
  out.protocol = Protocol::kUdp;
  if (l4.size() < 8)
    return refuse(why, out.more_fragments ? DropReason::kTinyFragment : DropReason::kTruncated);
  out.source_port = load_be16(&l4[0]);
  out.destination_port = load_be16(&l4[2]);
  const std::uint16_t length = load_be16(&l4[4]);
  if (whole == Whole::kYes && (length < 8 || (!out.more_fragments && length > l4.size())))
    return refuse(why, DropReason::kBadHeader);
  return true;
}

struct IcmpTypes {
  std::uint8_t echo_request;
  std::uint8_t echo_reply;
  bool (*is_error)(std::uint8_t type);
};

bool read_icmp(Bytes l4, Whole whole, const IcmpTypes& types, Parsed& out, Refusal& why) {
  out.protocol = Protocol::kIcmp;
  if (l4.size() < kIcmpHeader)
    return refuse(why, out.more_fragments ? DropReason::kTinyFragment : DropReason::kTruncated);
  out.icmp_type = l4[0];
  out.icmp_code = l4[1];
  if (out.icmp_type == types.echo_request || out.icmp_type == types.echo_reply) {
    out.source_port = out.destination_port = load_be16(&l4[4]);
    return true;
  }
  if (!types.is_error(out.icmp_type)) return refuse(why, DropReason::kUnsupportedIcmp);
  // Errors fit into the least MTU of their family (RFC 4443 §2.4 (c), RFC 1812 §4.3.2.3).
  if (out.is_fragment()) return refuse(why, DropReason::kFragmentedIcmp);
  // An error about an error is never sent, so it is none of ours to translate either.
  if (whole == Whole::kInsideError) return refuse(why, DropReason::kIcmpErrorBadInner);
  out.kind = Kind::kIcmpError;
  return true;
}

bool read_transport(Bytes l4, std::uint8_t protocol, Whole whole, std::uint8_t icmp, const IcmpTypes& types,
                    const Refusal& unsupported, Parsed& out, Refusal& why) {
  if (out.fragment_offset != 0) {
    if (protocol != kProtoTcp && protocol != kProtoUdp && protocol != icmp) return refuse(why, unsupported);
    if (std::size_t{out.fragment_offset} + l4.size() > 65535) return refuse(why, DropReason::kBadHeader);
    out.protocol = protocol == kProtoTcp   ? Protocol::kTcp
                   : protocol == kProtoUdp ? Protocol::kUdp
                                           : Protocol::kIcmp;
    out.kind = Kind::kLaterFragment;
    return true;
  }
  if (protocol == kProtoTcp) return read_tcp(l4, whole, out, why);
  if (protocol == kProtoUdp) return read_udp(l4, whole, out, why);
  if (protocol == icmp) return read_icmp(l4, whole, types, out, why);
  return refuse(why, unsupported);
}

constexpr bool is_icmp6_error(std::uint8_t type) {
  return type >= icmp6::kUnreachable && type <= icmp6::kParameterProblem;
}
constexpr bool is_icmp4_error(std::uint8_t type) {
  return type == icmp4::kUnreachable || type == icmp4::kTimeExceeded || type == icmp4::kParameterProblem;
}

// RFC 791: options 131 and 137 are source routes; expired once the pointer is past the end.
bool has_unexpired_source_route(Bytes options) {
  for (std::size_t i = 0; i < options.size();) {
    const std::uint8_t type = options[i];
    if (type == 0) return false;
    if (type == 1) {
      ++i;
      continue;
    }
    if (i + 2 > options.size() || options[i + 1] < 2) return false;
    const std::uint8_t length = options[i + 1];
    if ((type == 131 || type == 137) && (i + 3 > options.size() || options[i + 2] <= length)) return true;
    i += length;
  }
  return false;
}

bool read_ipv6(Bytes bytes, Whole whole, Parsed6& out, Refusal& why) {
  if (bytes.size() < kIpv6Header) return refuse(why, DropReason::kTruncated);
  if (bytes[0] >> 4 != 6) return refuse(why, DropReason::kBadVersion);
  const std::size_t payload = load_be16(&bytes[4]);
  const std::size_t claimed = kIpv6Header + payload;
  if (whole == Whole::kYes && claimed > bytes.size()) return refuse(why, DropReason::kTruncated);
  if (claimed > 65535) return refuse(why, DropReason::kBadHeader);
  if (bytes.size() > claimed) bytes = bytes.first(claimed);

  out.traffic_class = static_cast<std::uint8_t>(load_be16(bytes.data()) >> 4);
  out.hop_limit = bytes[7];
  out.source = Ipv6Address::load(&bytes[8]);
  out.destination = Ipv6Address::load(&bytes[24]);
  UpperLayer upper{bytes[6], kIpv6Header};
  if (!walk_extensions(bytes, upper, out, why)) return false;
  // RFC 8200 §4.5: all fragments but the last are multiples of eight.
  if (out.more_fragments && whole == Whole::kYes && (claimed - upper.offset) % 8 != 0)
    return refuse(why, DropReason::kBadHeader);
  out.l4_offset = static_cast<std::uint16_t>(upper.offset);
  out.l4_length = static_cast<std::uint16_t>(bytes.size() - upper.offset);
  out.l4_claimed = static_cast<std::uint16_t>(claimed - upper.offset);
  static constexpr IcmpTypes kTypes{icmp6::kEchoRequest, icmp6::kEchoReply, is_icmp6_error};
  // RFC 6146 §3.4: other protocols are answered with port unreachable.
  static constexpr Refusal kUnsupported{DropReason::kUnsupportedProtocol,
                                        {icmp6::kUnreachable, icmp6::kPortUnreachable, 0}};
  return read_transport(bytes.subspan(upper.offset), upper.protocol, whole, kProtoIcmp6, kTypes, kUnsupported,
                        out, why);
}

bool read_ipv4(Bytes bytes, Whole whole, Parsed4& out, Refusal& why) {
  if (bytes.size() < kIpv4Header) return refuse(why, DropReason::kTruncated);
  if (bytes[0] >> 4 != 4) return refuse(why, DropReason::kBadVersion);
  const std::size_t header = std::size_t{bytes[0]} % 16 * 4;
  const std::size_t claimed = load_be16(&bytes[2]);
  if (header < kIpv4Header || claimed < header) return refuse(why, DropReason::kBadHeader);
  if (header > bytes.size() || (whole == Whole::kYes && claimed > bytes.size()))
    return refuse(why, DropReason::kTruncated);
  if (bytes.size() > claimed) bytes = bytes.first(claimed);
  // Routers may have quoted a header whose checksum is stale; only whole packets must be right.
  if (whole == Whole::kYes && fold(sum_bytes(bytes.first(header))) != 0xffff)
    return refuse(why, DropReason::kBadIpChecksum);

  out.traffic_class = bytes[1];
  out.hop_limit = bytes[8];
  out.fragment_id = load_be16(&bytes[4]);
  const std::uint16_t flags = load_be16(&bytes[6]);
  out.dont_fragment = (flags & 0x4000) != 0;
  out.more_fragments = (flags & 0x2000) != 0;
  out.fragment_offset = static_cast<std::uint16_t>((flags & 0x1fff) << 3);
  out.fragment_header = out.is_fragment();
  out.source = Ipv4Address::load(&bytes[12]);
  out.destination = Ipv4Address::load(&bytes[16]);
  if (header > kIpv4Header && has_unexpired_source_route(bytes.subspan(kIpv4Header, header - kIpv4Header))) {
    // RFC 7915 §4.1: not translated, answered with "source route failed".
    return refuse(why,
                  Refusal{DropReason::kSourceRoute, {icmp4::kUnreachable, icmp4::kSourceRouteFailed, 0}});
  }
  if (out.more_fragments && whole == Whole::kYes && (claimed - header) % 8 != 0)
    return refuse(why, DropReason::kBadHeader);
  out.l4_offset = static_cast<std::uint16_t>(header);
  out.l4_length = static_cast<std::uint16_t>(bytes.size() - header);
  out.l4_claimed = static_cast<std::uint16_t>(claimed - header);
  static constexpr IcmpTypes kTypes{icmp4::kEchoRequest, icmp4::kEchoReply, is_icmp4_error};
  static constexpr Refusal kUnsupported{DropReason::kUnsupportedProtocol,
                                        {icmp4::kUnreachable, icmp4::kProtocolUnreachable, 0}};
  return read_transport(bytes.subspan(header), bytes[9], whole, kProtoIcmp, kTypes, kUnsupported, out, why);
}

// Filled where it is returned: what is parsed is never copied.
template <class P, bool (*Read)(Bytes, Whole, P&, Refusal&)>
Result<P, Refusal> parse(Bytes bytes, Whole whole) {
  Result<P, Refusal> out;
  Refusal why{DropReason::kUnclassified};
  if (!Read(bytes, whole, *out, why)) [[unlikely]]
    out = failure(why);
  return out;
}

}  // namespace

Result<Parsed6, Refusal> parse_ipv6(Bytes bytes, Whole whole) {
  return parse<Parsed6, read_ipv6>(bytes, whole);
}

Result<Parsed4, Refusal> parse_ipv4(Bytes bytes, Whole whole) {
  return parse<Parsed4, read_ipv4>(bytes, whole);
}

}  // namespace isthmus::nat64
