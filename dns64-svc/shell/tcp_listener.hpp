// SPDX-License-Identifier: Apache-2.0
// DNS over TCP on one address: accepts within the limits (in all and per client) and owns the connections.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/base/unique_fd.hpp"
#include "dns64-svc/shell/channel.hpp"
#include "dns64-svc/shell/event_loop.hpp"
#include "dns64-svc/shell/listen_socket.hpp"
#include "dns64-svc/shell/tcp_connection.hpp"

namespace isthmus::dns64 {

class TcpListener final : public FdWatcher, public Channel {
 public:
  static constexpr std::size_t kMaxConnections = 1024;         // per worker and address
  static constexpr std::size_t kMaxConnectionsPerClient = 64;  // an IPv6 client is its /64

  [[nodiscard]] static Result<std::unique_ptr<TcpListener>, std::string> open(const SocketAddress& address,
                                                                              EventLoop& loop,
                                                                              RequestHandler& handler);
  ~TcpListener();
  TcpListener(const TcpListener&) = delete;
  TcpListener& operator=(const TcpListener&) = delete;

  void send(const ReplyPath& path, std::span<const std::uint8_t> reply) override;
  void abandon(const ReplyPath& path) override;
  void sweep() { ended_.clear(); }  // at the end of every turn
  void drain();                     // no new connections, no new requests
  [[nodiscard]] std::size_t connections() const { return connections_.size(); }
  [[nodiscard]] std::uint64_t refused() const { return refused_; }

 private:
  TcpListener(UniqueFd fd, EventLoop& loop, RequestHandler& handler);
  void on_ready(std::uint32_t events) override;
  void adopt(UniqueFd fd, const sockaddr_storage& peer);
  void end(std::uint64_t id);

  UniqueFd fd_;
  std::array<std::uint8_t, 65536> scratch_{};
  TcpConnection::Owner owner_;
  std::unordered_map<std::uint64_t, std::unique_ptr<TcpConnection>> connections_;
  std::vector<std::unique_ptr<TcpConnection>> ended_;  // may still be on the call stack
  std::map<ClientAddress, std::size_t> per_client_;
  std::uint64_t next_id_ = 1;
  std::uint64_t refused_ = 0;
  bool accepting_ = true;
};

}  // namespace isthmus::dns64
