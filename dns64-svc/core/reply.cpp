// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/core/reply.hpp"

#include <algorithm>

namespace isthmus::dns64 {
namespace {

constexpr std::size_t kOptSize = 11;
constexpr std::size_t kEdeSize = 6;  // without text
constexpr std::size_t kCookieSize = 28;
constexpr std::size_t kMaxSubnetSize = 24;
constexpr std::size_t kKeepaliveSize = 6;
constexpr std::size_t kPaddingBlock = 468;  // RFC 8467 §4.1
constexpr std::uint16_t kOwnUdpSize = kDefaultUdpSize;

std::size_t size_limit(const Request& request, const ClientInfo& client) {
  if (client.transport != Transport::kUdp) return kMaxMessageSize;
  // RFC 6891 §6.2.3: below 512 counts as 512.
  const std::size_t asked = request.edns.present ? request.edns.udp_size : kMinUdpSize;
  return std::max(kMinUdpSize, std::min<std::size_t>(asked, client.max_udp_size));
}

std::size_t opt_room(const Request& request) {
  if (!request.edns.present) return 0;
  return kOptSize + kEdeSize + (request.edns.cookie_size != 0 ? kCookieSize : 0) +
         (request.edns.subnet ? kMaxSubnetSize : 0) + (request.edns.keepalive ? kKeepaliveSize : 0);
}

}  // namespace

ReplyBuilder::ReplyBuilder(const Request& request, const ClientInfo& client, std::span<std::uint8_t> buffer)
    : request_(request),
      client_(client),
      out_({}),
      whole_(buffer.first(std::min(buffer.size(), size_limit(request, client)))) {
  const auto reserved = opt_room(request);
  out_ = ByteWriter{whole_.first(whole_.size() > reserved ? whole_.size() - reserved : 0)};
  constexpr std::uint8_t kEmpty[kHeaderSize] = {};
  out_.bytes(kEmpty);
  if (request.has_question) {
    out_.bytes(request.asked.view());
    out_.u16(request.type);
    out_.u16(request.klass);
  }
  question_end_ = out_.size();
}

bool ReplyBuilder::settle(std::size_t start, Section section, std::uint16_t count) {
  if (!out_.ok()) {
    out_.rewind(start);
    return false;
  }
  auto& total = counts_[static_cast<std::size_t>(section)];
  total = static_cast<std::uint16_t>(total + count);
  return true;
}

bool ReplyBuilder::copy(const Fact& fact, std::size_t begin, std::size_t end, std::uint16_t count,
                        Section section, const TtlRule& ttl) {
  if (count == 0) return true;
  const std::size_t start = out_.size();
  out_.bytes(fact.body().subspan(begin, end - begin));
  if (!settle(start, section, count)) return false;
  auto* copied = &out_.written()[start];
  for (std::size_t at = 0; at < end - begin;) {
    while (copied[at] != 0 && copied[at] < 0xc0) at += copied[at] + 1U;
    at += copied[at] == 0 ? 1U : 2U;
    const auto left = ttl(load_be32(copied + at + 4));
    store_be32(copied + at + 4, left);
    if (section != Section::kAdditional) least_ttl_ = std::min(least_ttl_, left);
    at += 10U + load_be16(copied + at + 8);
  }
  return true;
}

bool ReplyBuilder::copy(const Fact& fact, Fact::PartIndex part, Section section, const TtlRule& ttl) {
  const auto bytes = fact.part(part);
  const auto begin = static_cast<std::size_t>(bytes.data() - fact.body().data());
  return copy(fact, begin, begin + bytes.size(), fact.fields().parts[part].count, section, ttl);
}

bool ReplyBuilder::record_like(const Fact& fact, const StoredRecord& like, std::uint16_t type,
                               std::uint32_t ttl, std::span<const std::uint8_t> rdata, Section section) {
  return record(fact.body().subspan(like.owner_at, like.rdata_at - 10 - like.owner_at), type, ttl, rdata,
                section);
}

bool ReplyBuilder::record(std::uint16_t type, std::uint32_t ttl, std::span<const std::uint8_t> rdata) {
  constexpr std::uint8_t kQuestionName[2] = {0xc0, kHeaderSize};
  return record(kQuestionName, type, ttl, rdata, Section::kAnswer);
}

bool ReplyBuilder::record(NameView owner, std::uint16_t type, std::uint32_t ttl,
                          std::span<const std::uint8_t> rdata, Section section) {
  const std::size_t start = out_.size();
  out_.bytes(owner);
  out_.u16(type);
  out_.u16(kClassIn);
  out_.u32(ttl);
  out_.u16(static_cast<std::uint16_t>(rdata.size()));
  out_.bytes(rdata);
  if (!settle(start, section, 1)) return false;
  least_ttl_ = std::min(least_ttl_, ttl);
  return true;
}

void ReplyBuilder::truncate() {
  out_.rewind(question_end_);
  std::fill(std::begin(counts_), std::end(counts_), std::uint16_t{0});
  least_ttl_ = 0;
  truncated_ = true;
}

void ReplyBuilder::write_opt(const Ending& ending) {
  const std::size_t before = out_.size();
  out_ = ByteWriter{whole_.subspan(before)};  // only now may the room kept for OPT be used
  out_.u8(0);
  out_.u16(rr::kOpt);
  out_.u16(kOwnUdpSize);
  out_.u32(std::uint32_t{ending.rcode} >> 4 << 24 | (request_.edns.dnssec_ok ? 0x8000U : 0U));
  out_.u16(0);
  if (ending.cookie.size() == 24) {
    out_.u16(option::kCookie);
    out_.u16(24);
    out_.bytes(ending.cookie);
  }
  if (ending.ede != ede::kNone) {
    out_.u16(option::kEde);
    out_.u16(static_cast<std::uint16_t>(2 + ending.ede_text.size()));
    out_.u16(ending.ede);
    out_.bytes({reinterpret_cast<const std::uint8_t*>(ending.ede_text.data()), ending.ede_text.size()});
  }
  if (ending.subnet != nullptr) {
    const auto& subnet = *ending.subnet;
    const auto size = (subnet.source_length + 7U) / 8U;
    out_.u16(option::kClientSubnet);
    out_.u16(static_cast<std::uint16_t>(4 + size));
    out_.u16(subnet.family);
    out_.u8(subnet.source_length);
    // RFC 7871 §7.2.1: the answer is for this subnet and says nothing of wider ones: views and gateways may
    // change at any length.
    out_.u8(subnet.source_length);
    out_.bytes(std::span{subnet.address}.first(size));
  }
  // RFC 7828 §3.2.2: to those who ask, over a stream of our own framing.
  const bool stream = client_.transport == Transport::kTcp || client_.transport == Transport::kTls;
  if (stream && request_.edns.keepalive && client_.idle_timeout != 0) {
    out_.u16(option::kTcpKeepalive);
    out_.u16(2);
    out_.u16(client_.idle_timeout);
  }
  // RFC 7830 §4: pad when the client did; RFC 8467: only where nobody can read along.
  const bool encrypted = client_.transport == Transport::kTls || client_.transport == Transport::kHttps;
  if (encrypted && request_.edns.padding) {
    const std::size_t pad = (kPaddingBlock - (before + out_.size() + 4) % kPaddingBlock) % kPaddingBlock;
    if (out_.room() >= pad + 4) {
      out_.u16(option::kPadding);
      out_.u16(static_cast<std::uint16_t>(pad));
      constexpr std::uint8_t kZeros[kPaddingBlock] = {};
      out_.bytes(std::span{kZeros}.first(pad));
    }
  }
  out_.patch_u16(9, static_cast<std::uint16_t>(out_.size() - kOptSize));
}

std::size_t ReplyBuilder::finish(const Ending& ending) {
  if (!out_.ok()) return 0;
  std::uint16_t additional = counts_[2];
  std::size_t size = out_.size();
  if (request_.edns.present) {
    write_opt(ending);
    if (!out_.ok()) return 0;
    size += out_.size();
    ++additional;
  }
  std::uint16_t flags = flag::kQr | flag::kRa;
  flags = static_cast<std::uint16_t>(flags | (request_.flags & (flag::kOpcode | flag::kRd | flag::kCd)));
  if (ending.authenticated) flags |= flag::kAd;
  if (truncated_) flags |= flag::kTc;
  flags = static_cast<std::uint16_t>(flags | (ending.rcode & flag::kRcode));
  auto* header = whole_.data();
  store_be16(header, request_.id);
  store_be16(header + 2, flags);
  store_be16(header + 4, request_.has_question ? 1 : 0);
  store_be16(header + 6, counts_[0]);
  store_be16(header + 8, counts_[1]);
  store_be16(header + 10, additional);
  return size;
}

}  // namespace isthmus::dns64
