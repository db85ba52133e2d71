// SPDX-License-Identifier: Apache-2.0
// What is counted of streams: connections over TCP, TLS and HTTPS.
#pragma once

#include <array>
#include <cstdint>

#include "common/base/enum_names.hpp"
#include "dns64-svc/core/client_info.hpp"
#include "dns64-svc/shell/counter.hpp"

namespace isthmus::dns64 {

// Why a connection ended.
enum class StreamEnd : std::uint8_t {
  kPeer,        // the client closed it
  kIdle,        // no request for the idle time, or none whole
  kSlowReader,  // the client did not take its replies in time
  kHandshake,   // TLS or the PROXY header was not complete in time
  kTls,         // TLS failed
  kProxy,       // a listed balancer sent no good PROXY header
  kProtocol,    // what came is not the protocol spoken here, or HTTP's own end
  kLimit,       // one too many, in all or of this client
  kDrained,     // the service stops
  kError,       // the system refused an operation
  kCount
};
inline constexpr EnumNames<StreamEnd> kStreamEndNames{
    {"peer", "idle", "slow_reader", "handshake", "tls", "proxy", "protocol", "limit", "drained", "error"}};

struct StreamStats {
  static constexpr std::size_t kTransports = kEnumSize<Transport>;
  std::array<Counter, kTransports> open;  // gauge
  std::array<std::array<Counter, kEnumSize<StreamEnd>>, kTransports> ends;
  std::array<Counter, kTransports> handshakes;  // TLS, completed
  std::array<Counter, kTransports> resumed;     // of them, without certificates
  Counter proxied;                              // PROXY headers that were believed
};

}  // namespace isthmus::dns64
