// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/core/rfc7915/fragment.hpp"

#include <algorithm>
#include <array>

#include "nat64-svc/core/packet/write.hpp"

namespace isthmus::nat64 {

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
  const std::size_t payload = bytes.size() - kHeaders;
  const std::size_t chunk = (mtu - kHeaders) & ~std::size_t{7};
  const auto pieces = static_cast<std::uint32_t>((payload + chunk - 1) / chunk);
  if (!extra.has_room((pieces - 1) * kHeaders + payload - std::min(chunk, payload), pieces - 1))
    return failure(Refusal{DropReason::kNoRoom});

  const auto put_headers = [&](std::span<std::uint8_t> out, std::size_t at, std::size_t length) {
    store_be16(&out[4], static_cast<std::uint16_t>(kFragmentHeader + length));
    write_fragment_header(&out[kIpv6Header], protocol, static_cast<std::uint16_t>(offset + at),
                          more || at + length < payload, id);
  };
  for (std::size_t at = chunk; at < payload; at += chunk) {
    const std::size_t length = std::min(chunk, payload - at);
    const auto out = extra.add(Side::kV6, kHeaders + length);
    std::copy_n(bytes.begin(), kIpv6Header, out.begin());
    std::ranges::copy(bytes.subspan(kHeaders + at, length), out.begin() + kHeaders);
    put_headers(out, at, length);
  }
  (void)buffer.resize(kHeaders + std::min(chunk, payload));
  put_headers(buffer.packet(), 0, std::min(chunk, payload));
  return pieces;
}

}  // namespace isthmus::nat64
