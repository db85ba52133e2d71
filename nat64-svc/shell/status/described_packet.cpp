// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/status/described_packet.hpp"

#include <array>
#include <sstream>

#include "common/net/checksum.hpp"
#include "common/net/host_port.hpp"
#include "nat64-svc/core/packet/write.hpp"
#include "nat64-svc/core/refusal.hpp"

namespace isthmus::nat64 {
namespace {

constexpr std::size_t kLongestPayload = 9000;

Result<std::uint8_t, std::string> flags_of(const std::string& words) {
  constexpr std::array<std::pair<std::string_view, std::uint8_t>, 4> kNames{
      {{"fin", tcp_flag::kFin}, {"syn", tcp_flag::kSyn}, {"rst", tcp_flag::kRst}, {"ack", tcp_flag::kAck}}};
  if (words.empty()) return tcp_flag::kSyn;
  std::uint8_t flags = 0;
  std::istringstream list(words);
  for (std::string word; std::getline(list, word, ',');) {
    std::uint8_t bit = 0;
    for (const auto& [name, value] : kNames) {
      if (word == name) bit = value;
    }
    if (bit == 0) return failure("tcp_flags: \"" + word + "\" is none of fin, syn, rst, ack");
    flags = static_cast<std::uint8_t>(flags | bit);
  }
  return flags;
}

struct Words {
  Protocol protocol = Protocol::kTcp;
  std::uint16_t source_port = 0, destination_port = 0;
  std::uint8_t flags = 0;
  std::size_t length = 0;
  std::uint8_t hop_limit = 64;
  bool dont_fragment = false;
};

// The transport part; its checksum is still to be filled in at the offset that is returned.
std::pair<std::vector<std::uint8_t>, std::size_t> transport(const Words& w, bool v6) {
  std::vector<std::uint8_t> out;
  if (w.protocol == Protocol::kTcp) {
    out.resize(20 + w.length);
    out[12] = 0x50;
    out[13] = w.flags;
    store_be16(&out[14], 65535);
  } else {
    out.resize(8 + w.length);
  }
  if (w.protocol == Protocol::kIcmp) {
    out[0] = v6 ? icmp6::kEchoRequest : icmp4::kEchoReply;
    store_be16(&out[4], v6 ? w.source_port : w.destination_port);
    store_be16(&out[6], 1);
    return {std::move(out), 2};
  }
  store_be16(out.data(), w.source_port);
  store_be16(&out[2], w.destination_port);
  if (w.protocol == Protocol::kTcp) return {std::move(out), 16};
  store_be16(&out[4], static_cast<std::uint16_t>(out.size()));
  return {std::move(out), 6};
}

void set_checksum(std::vector<std::uint8_t>& out, std::size_t at, Sum pseudo) {
  const auto checksum = finish(sum_bytes(out) + pseudo);
  store_be16(&out[at], checksum == 0 ? std::uint16_t{0xffff} : checksum);
}

std::vector<std::uint8_t> build(const Words& w, const Ipv6Address& source, const Ipv6Address& destination) {
  auto [body, checksum_at] = transport(w, true);
  const auto length = static_cast<std::uint16_t>(body.size());
  const auto next = ip_protocol6(w.protocol);
  set_checksum(body, checksum_at, pseudo_header(source, destination, next, length));
  std::vector<std::uint8_t> out(kIpv6Header);
  write_ipv6(out.data(), {0, length, next, w.hop_limit, source, destination});
  out.insert(out.end(), body.begin(), body.end());
  return out;
}

std::vector<std::uint8_t> build(const Words& w, Ipv4Address source, Ipv4Address destination) {
  auto [body, checksum_at] = transport(w, false);
  const auto protocol = ip_protocol4(w.protocol);
  const auto length = static_cast<std::uint32_t>(body.size());
  const Sum pseudo = w.protocol == Protocol::kIcmp ? 0 : pseudo_header(source, destination, protocol, length);
  set_checksum(body, checksum_at, pseudo);
  std::vector<std::uint8_t> out(kIpv4Header);
  write_ipv4(out.data(), {.total_length = static_cast<std::uint16_t>(kIpv4Header + length),
                          .flags = w.dont_fragment ? kDontFragment : std::uint16_t{0},
                          .ttl = w.hop_limit,
                          .protocol = protocol,
                          .source = source,
                          .destination = destination});
  out.insert(out.end(), body.begin(), body.end());
  return out;
}

}  // namespace

Result<std::vector<std::uint8_t>, std::string> described_packet(const v1::PacketDescription& words) {
  const auto source = parse_host_port(words.source());
  if (!source) return failure("source: \"" + words.source() + "\" is not ADDRESS:PORT or [ADDRESS]:PORT");
  const auto destination = parse_host_port(words.destination());
  if (!destination)
    return failure("destination: \"" + words.destination() + "\" is not ADDRESS:PORT or [ADDRESS]:PORT");
  const auto flags = flags_of(words.tcp_flags());
  if (!flags) return failure(flags.error());
  if (words.length() > kLongestPayload) return failure("length: at most " + std::to_string(kLongestPayload));
  if (words.hop_limit() > 255) return failure(std::string("hop_limit: at most 255"));
  Words w;
  w.protocol = words.protocol() == v1::UDP_FLOW    ? Protocol::kUdp
               : words.protocol() == v1::ICMP_FLOW ? Protocol::kIcmp
                                                   : Protocol::kTcp;
  w.source_port = source->port;
  w.destination_port = destination->port;
  w.flags = *flags;
  w.length = words.length();
  if (words.hop_limit() != 0) w.hop_limit = static_cast<std::uint8_t>(words.hop_limit());
  w.dont_fragment = words.dont_fragment();
  const auto source6 = Ipv6Address::parse(source->host);
  const auto destination6 = Ipv6Address::parse(destination->host);
  if (source6 && destination6) return build(w, *source6, *destination6);
  const auto source4 = Ipv4Address::parse(source->host);
  const auto destination4 = Ipv4Address::parse(destination->host);
  if (source4 && destination4) return build(w, *source4, *destination4);
  return failure(std::string("source and destination must be addresses of one family"));
}

}  // namespace isthmus::nat64
