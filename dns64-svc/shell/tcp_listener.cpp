// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/shell/tcp_listener.hpp"

#include <netinet/tcp.h>

#include <cerrno>
#include <cstring>

namespace isthmus::dns64 {

namespace {

// Whoever has a /64 has every address in it.
ClientAddress counted_as(const ClientAddress& client) {
  if (const auto* v6 = std::get_if<Ipv6Address>(&client)) return Ipv6Address::from_halves(v6->high(), 0);
  return client;
}

}  // namespace

Result<std::unique_ptr<TcpListener>, std::string> TcpListener::open(const SocketAddress& address,
                                                                    EventLoop& loop,
                                                                    RequestHandler& handler) {
  auto fd = open_tcp(address);
  if (!fd) return failure(fd.error());
  std::unique_ptr<TcpListener> made{new TcpListener{std::move(*fd), loop, handler}};
  if (!loop.watch(made->fd_.get(), EPOLLIN, *made))
    return failure("cannot watch " + address.to_string() + ": " + std::strerror(errno));
  return made;
}

TcpListener::TcpListener(UniqueFd fd, EventLoop& loop, RequestHandler& handler)
    : fd_(std::move(fd)),
      owner_{.loop = loop,
             .handler = handler,
             .channel = *this,
             .scratch = std::span{scratch_}.first(65535),
             .on_end = [this](std::uint64_t id) { end(id); }} {}

TcpListener::~TcpListener() {
  if (accepting_) owner_.loop.forget(fd_.get(), *this);
}

void TcpListener::on_ready(std::uint32_t /*events*/) {
  for (int i = 0; i < 16; ++i) {  // other sockets have their turn too
    sockaddr_storage peer{};
    socklen_t size = sizeof peer;
    UniqueFd fd{accept4(fd_.get(), reinterpret_cast<sockaddr*>(&peer), &size, SOCK_NONBLOCK | SOCK_CLOEXEC)};
    if (!fd.valid()) return;
    adopt(std::move(fd), peer);
  }
}

void TcpListener::adopt(UniqueFd fd, const sockaddr_storage& peer) {
  const ClientInfo client{.address = client_address(peer), .transport = Transport::kTcp};
  auto& count = per_client_[counted_as(client.address)];
  if (connections_.size() >= kMaxConnections || count >= kMaxConnectionsPerClient) {
    ++refused_;
    if (count == 0) per_client_.erase(counted_as(client.address));
    return;  // closed
  }
  const int on = 1;
  setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const auto id = next_id_++;
  auto connection = std::make_unique<TcpConnection>(std::move(fd), id, client, owner_);
  if (!connection->start()) {
    if (count == 0) per_client_.erase(counted_as(client.address));
    return;
  }
  ++count;
  connections_.emplace(id, std::move(connection));
}

void TcpListener::end(std::uint64_t id) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  const auto client = per_client_.find(counted_as(found->second->client()));
  if (client != per_client_.end() && --client->second == 0) per_client_.erase(client);
  ended_.push_back(std::move(found->second));
  connections_.erase(found);
}

void TcpListener::send(const ReplyPath& path, std::span<const std::uint8_t> reply) {
  if (const auto found = connections_.find(path.connection); found != connections_.end())
    found->second->send(reply);
}

void TcpListener::abandon(const ReplyPath& path) {
  if (const auto found = connections_.find(path.connection); found != connections_.end())
    found->second->abandon();
}

void TcpListener::drain() {
  if (accepting_) owner_.loop.forget(fd_.get(), *this);
  accepting_ = false;
  fd_.reset();
  std::vector<std::uint64_t> ids;
  for (const auto& [id, connection] : connections_) ids.push_back(id);
  for (const auto id : ids) {
    if (const auto found = connections_.find(id); found != connections_.end()) found->second->drain();
  }
}

}  // namespace isthmus::dns64
