// SPDX-License-Identifier: Apache-2.0
// Streams on one address: accepts within the limits and owns the connections.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/base/unique_fd.hpp"
#include "dns64-svc/shell/channel.hpp"
#include "dns64-svc/shell/event_loop.hpp"
#include "dns64-svc/shell/listen_socket.hpp"
#include "dns64-svc/shell/stream_connection.hpp"

namespace isthmus::dns64 {

class StreamListener final : public FdWatcher, public Timer, public Channel {
 public:
  [[nodiscard]] static Result<std::unique_ptr<StreamListener>, std::string> open(
      const SocketAddress& address, StreamProtocol protocol, StreamEnvironment& environment);
  ~StreamListener() override;

  void send(const ReplyPath& path, std::span<const std::uint8_t> reply) override;
  void abandon(const ReplyPath& path, DropReason why) override;
  void sweep() { ended_.clear(); }  // at the end of every turn
  // No new connections, no new requests. Connections that the kernel has accepted already are taken first,
  // and a request that has come with one is answered; a TLS handshake or PROXY header that is not whole by
  // now is dropped: nobody has asked anything there yet.
  void drain();
  [[nodiscard]] bool idle() const { return connections_.empty(); }

 private:
  StreamListener(UniqueFd fd, StreamProtocol protocol, StreamEnvironment& environment);
  void on_ready(std::uint32_t events) override;
  void on_timer() override;  // after a pause for want of descriptors
  void accept_some(int most);
  void adopt(UniqueFd fd, const sockaddr_storage& peer);
  [[nodiscard]] bool admit(const ClientAddress& peer, bool proxied);
  void end(std::uint64_t id);
  void pause();

  UniqueFd fd_;
  Transport transport_;
  StreamEnvironment& environment_;
  StreamConnection::Owner owner_;
  std::unordered_map<std::uint64_t, std::unique_ptr<StreamConnection>> connections_;
  std::vector<std::unique_ptr<StreamConnection>> ended_;  // may still be on the call stack
  std::uint64_t next_id_ = 1;
  bool watching_ = false;
};

}  // namespace isthmus::dns64
