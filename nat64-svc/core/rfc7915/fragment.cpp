// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/core/rfc7915/fragment.hpp"

#include <algorithm>
#include <array>

#include "nat64-svc/core/packet/write.hpp"

namespace isthmus::nat64 {
namespace {

// Cuts what follows the first `headers` bytes. write(bytes, at, last) completes the headers of the piece in
// `bytes`, whose payload begins at `at` of the whole.
template <class Write>
Result<std::uint32_t, Refusal> cut(PacketBuffer& buffer, std::size_t headers, std::uint32_t mtu, Side out,
                                   ExtraQueue& extra, Write&& write) {
  const auto bytes = buffer.packet();
  const std::size_t payload = bytes.size() - headers;
  const std::size_t chunk = (mtu - headers) & ~std::size_t{7};
  const auto pieces = static_cast<std::uint32_t>((payload + chunk - 1) / chunk);
  if (!extra.has_room((pieces - 1) * headers + payload - std::min(chunk, payload), pieces - 1))
    return failure(Refusal{DropReason::kNoRoom});
  for (std::size_t at = chunk; at < payload; at += chunk) {
    const std::size_t length = std::min(chunk, payload - at);
    const auto piece = extra.add(out, headers + length);
    std::copy_n(bytes.begin(), headers, piece.begin());
    std::ranges::copy(bytes.subspan(headers + at, length),
                      piece.begin() + static_cast<std::ptrdiff_t>(headers));
    write(piece, at, at + length == payload);
  }
  (void)buffer.resize(headers + std::min(chunk, payload));
  write(buffer.packet(), 0, chunk >= payload);
  return pieces;
}

}  // namespace

Result<std::uint32_t, Refusal> fragment_ipv6(PacketBuffer& buffer, std::uint32_t mtu, std::uint32_t id,
                                             ExtraQueue& extra) {
  constexpr std::size_t kHeaders = kIpv6Header + kFragmentHeader;
  auto bytes = buffer.packet();
  std::uint8_t protocol = bytes[6];
  std::uint16_t offset = 0;
  bool more = false;
  if (protocol == 44) {  // ours: it follows the IPv6 header
    protocol = bytes[kIpv6Header];
    const std::uint16_t field = load_be16(&bytes[kIpv6Header + 2U]);
    offset = field & 0xfff8;
    more = (field & 1) != 0;
    id = load_be32(&bytes[kIpv6Header + 4U]);
  } else {  // make room for a fragment header behind the IPv6 header
    if (!buffer.grow_front(kFragmentHeader)) return failure(Refusal{DropReason::kNoRoom});
    bytes = buffer.packet();
    std::copy_n(bytes.begin() + kFragmentHeader, kIpv6Header, bytes.begin());
    bytes[6] = 44;
  }
  return cut(buffer, kHeaders, mtu, Side::kV6, extra,
             [=](std::span<std::uint8_t> piece, std::size_t at, bool last) {
               store_be16(&piece[4], static_cast<std::uint16_t>(piece.size() - kIpv6Header));
               write_fragment_header(&piece[kIpv6Header], protocol, static_cast<std::uint16_t>(offset + at),
                                     more || !last, id);
             });
}

Result<std::uint32_t, Refusal> fragment_ipv4(PacketBuffer& buffer, std::uint32_t mtu, ExtraQueue& extra) {
  const std::uint16_t field = load_be16(&buffer.packet()[6]);
  return cut(buffer, kIpv4Header, mtu, Side::kV4, extra,
             [=](std::span<std::uint8_t> piece, std::size_t at, bool last) {
               const bool more = (field & kMoreFragments) != 0 || !last;
               const std::size_t offset = (field & 0x1fffU) + at / 8;
               store_be16(&piece[2], static_cast<std::uint16_t>(piece.size()));
               store_be16(&piece[6], static_cast<std::uint16_t>((more ? kMoreFragments : 0) | offset));
               store_be16(&piece[10], 0);
               store_be16(&piece[10], finish(sum_bytes(piece.first(kIpv4Header))));
             });
}

}  // namespace isthmus::nat64
