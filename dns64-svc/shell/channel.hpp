// SPDX-License-Identifier: Apache-2.0
// How requests reach a worker and replies leave it, whatever the transport.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <span>

#include "dns64-svc/core/client_info.hpp"
#include "dns64-svc/core/drop_reason.hpp"

namespace isthmus::dns64 {

// Where the reply to one request goes.
struct ReplyPath {
  sockaddr_storage peer{};  // UDP
  socklen_t peer_size = 0;
  // UDP on a wildcard address: the address that was asked, as a control message (pktinfo).
  alignas(cmsghdr) std::array<std::uint8_t, 64> control{};
  std::uint32_t control_size = 0;
  std::uint64_t connection = 0;  // streams
  std::uint64_t exchange = 0;    // HTTP: which request of the connection
};

class Channel {
 public:
  // A reply that was not ready at once. The client may be gone: then it is dropped.
  virtual void send(const ReplyPath& path, std::span<const std::uint8_t> reply) = 0;
  // A request that ends without a reply.
  virtual void abandon(const ReplyPath& path, DropReason why) = 0;

 protected:
  ~Channel() = default;
};

// What a channel does with a request: Worker implements it.
class RequestHandler {
 public:
  // Says what handle() will be given next, so that it can be brought near. Nothing depends on it.
  virtual void expect(std::span<const std::uint8_t> /*request*/, const ClientInfo& /*client*/) {}
  virtual void expected_all() {}
  // Whether requests of this client are answered with more than a refusal, as far as its address tells.
  [[nodiscard]] virtual bool serves(const ClientAddress& /*client*/) const { return true; }
  // Bytes of the reply written to `reply`; 0: none now (it may come later by channel.send()).
  virtual std::size_t handle(std::span<const std::uint8_t> request, const ClientInfo& client,
                             Channel& channel, const ReplyPath& path, std::span<std::uint8_t> reply) = 0;

 protected:
  ~RequestHandler() = default;
};

}  // namespace isthmus::dns64
