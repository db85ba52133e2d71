// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/core/proxy_header.hpp"

#include <algorithm>
#include <array>

#include "common/net/big_endian.hpp"

namespace isthmus::dns64 {
namespace {

constexpr std::array<std::uint8_t, 12> kSignature{0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d,
                                                  0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};
constexpr std::size_t kFixed = 16;
constexpr std::uint8_t kVersion = 0x20, kLocal = 0x0, kProxy = 0x1;
constexpr std::uint8_t kUnspec = 0x0, kInet = 0x1, kUnix = 0x3;  // 0x2 is AF_INET6, the last case left
constexpr std::uint8_t kLastTransport = 0x2;                     // unspecified, stream, datagram

bool is_mapped(std::span<const std::uint8_t> v6) {
  constexpr std::array<std::uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  return std::equal(kMapped.begin(), kMapped.end(), v6.begin());
}

}  // namespace

Result<std::size_t, ProxyError> proxy_header_size(std::span<const std::uint8_t> bytes) {
  const auto known = std::min(bytes.size(), kSignature.size());
  if (!std::equal(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(known), kSignature.begin()))
    return failure(ProxyError::kNoSignature);
  if (bytes.size() < kFixed) return kFixed;
  const std::size_t size = kFixed + load_be16(&bytes[14]);
  if (size > kMaxProxyHeader) return failure(ProxyError::kTooLong);
  return size;
}

Result<ProxyHeader, ProxyError> parse_proxy_header(std::span<const std::uint8_t> bytes) {
  const auto size = proxy_header_size(bytes);
  if (!size) return failure(size.error());
  if (bytes.size() < *size) return failure(ProxyError::kTruncated);
  const std::uint8_t command = bytes[12] & 0x0f;
  if ((bytes[12] & 0xf0) != kVersion || command > kProxy) return failure(ProxyError::kBadVersion);
  ProxyHeader header{.size = *size, .client = std::nullopt};
  // §2.2: with LOCAL the family is to be ignored.
  if (command == kLocal) return header;
  const std::uint8_t family = bytes[13] >> 4;
  const auto address = bytes.subspan(kFixed, *size - kFixed);
  if ((bytes[13] & 0x0f) > kLastTransport || family > kUnix) return failure(ProxyError::kBadAddress);
  if (family == kUnspec || family == kUnix) return header;
  // Source address, destination address, source port, destination port.
  if (address.size() < (family == kInet ? 12U : 36U)) return failure(ProxyError::kBadAddress);
  if (family == kInet)
    header.client = Ipv4Address::load(address.data());
  else if (is_mapped(address))
    header.client = Ipv4Address::load(&address[12]);
  else
    header.client = Ipv6Address::load(address.data());
  return header;
}

}  // namespace isthmus::dns64
