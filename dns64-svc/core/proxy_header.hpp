// SPDX-License-Identifier: Apache-2.0
// PROXY protocol version 2 (HAProxy's proxy-protocol.txt §2.2): a load balancer says before the client's own
// bytes from whom they come. Read only from senders that are listed, and from those it must come first: the
// protocol forbids to guess. One header per stream; one per datagram.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "common/base/enum_names.hpp"
#include "common/base/result.hpp"
#include "dns64-svc/core/client_info.hpp"

namespace isthmus::dns64 {

enum class ProxyError : std::uint8_t {
  kNoSignature,  // it is something else, or version 1
  kBadVersion,   // not 2, or a command that is neither LOCAL nor PROXY
  kBadAddress,   // shorter than its address family needs, or an unknown family or transport
  kTooLong,      // more than kMaxProxyHeader bytes
  kTruncated,    // a datagram ends within it
  kCount
};
inline constexpr EnumNames<ProxyError> kProxyErrorNames{
    {"no_signature", "bad_version", "bad_address", "too_long", "truncated"}};

inline constexpr std::size_t kMaxProxyHeader = 1024;  // bytes; type-length-values included

struct ProxyHeader {
  std::size_t size = 0;  // bytes of the header; what follows is the client's
  // Nothing: LOCAL (a health check), or a family that has no address: the connection's own peer stands.
  std::optional<ClientAddress> client;
};

// How many bytes the header that begins `bytes` has, as far as these tell: 16 until its length field is
// there. An error as soon as it is certain.
[[nodiscard]] Result<std::size_t, ProxyError> proxy_header_size(std::span<const std::uint8_t> bytes);
// `bytes` holds the whole header, and perhaps more.
[[nodiscard]] Result<ProxyHeader, ProxyError> parse_proxy_header(std::span<const std::uint8_t> bytes);

}  // namespace isthmus::dns64
