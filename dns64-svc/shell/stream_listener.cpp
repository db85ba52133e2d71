// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/shell/stream_listener.hpp"

#include <netinet/tcp.h>

#include <cerrno>
#include <cstring>

namespace isthmus::dns64 {

namespace {

constexpr Duration kPause = std::chrono::milliseconds{100};
constexpr int kPerTurn = 16;    // connections accepted: other sockets have their turn too
constexpr int kBacklog = 4096;  // more than can wait in the kernel, and an end when more come all the time

Transport transport_of(StreamProtocol protocol) {
  if (protocol == StreamProtocol::kDns) return Transport::kTcp;
  return protocol == StreamProtocol::kDnsTls ? Transport::kTls : Transport::kHttps;
}

}  // namespace

Result<std::unique_ptr<StreamListener>, std::string> StreamListener::open(const SocketAddress& address,
                                                                          StreamProtocol protocol,
                                                                          StreamEnvironment& environment) {
  auto fd = open_tcp(address);
  if (!fd) return failure(fd.error());
  std::unique_ptr<StreamListener> made{new StreamListener{std::move(*fd), protocol, environment}};
  made->watching_ = environment.loop.watch(made->fd_.get(), EPOLLIN, *made);
  if (!made->watching_) return failure("cannot watch " + address.to_string() + ": " + std::strerror(errno));
  return made;
}

StreamListener::StreamListener(UniqueFd fd, StreamProtocol protocol, StreamEnvironment& environment)
    : fd_(std::move(fd)),
      transport_(transport_of(protocol)),
      environment_(environment),
      owner_{.environment = environment,
             .channel = *this,
             .protocol = protocol,
             .on_end = [this](std::uint64_t id) { end(id); }} {}

StreamListener::~StreamListener() {
  if (watching_) environment_.loop.forget(fd_.get(), *this);
}

void StreamListener::on_ready(std::uint32_t /*events*/) {
  accept_some(kPerTurn);
}

void StreamListener::accept_some(int most) {
  for (int i = 0; i < most; ++i) {
    sockaddr_storage peer{};
    socklen_t size = sizeof peer;
    UniqueFd fd{accept4(fd_.get(), reinterpret_cast<sockaddr*>(&peer), &size, SOCK_NONBLOCK | SOCK_CLOEXEC)};
    if (fd.valid()) {
      adopt(std::move(fd), peer);
      continue;
    }
    if (errno == EINTR || errno == ECONNABORTED) continue;  // that one is gone, others may wait
    // The connection stays in the queue and would be reported for ever.
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) pause();
    return;
  }
}

void StreamListener::pause() {
  environment_.loop.forget(fd_.get(), *this);
  watching_ = false;
  environment_.loop.arm(*this, kPause);
}

void StreamListener::on_timer() {
  if (!fd_.valid()) return;
  watching_ = environment_.loop.watch(fd_.get(), EPOLLIN, *this);
  if (!watching_) environment_.loop.arm(*this, kPause);
}

bool StreamListener::admit(const ClientAddress& peer, bool proxied) {
  auto& quota = environment_.quota;
  const bool shakes =
      proxied || owner_.protocol == StreamProtocol::kDnsTls || owner_.protocol == StreamProtocol::kHttpsTls;
  // A balancer's clients are looked at once it has said who they are.
  if (!proxied && !environment_.has_room_for(peer)) return false;
  if (!quota.take()) return false;
  if (!proxied && !quota.take_client(peer)) {
    quota.give();
    return false;
  }
  // Who connects and says nothing must not keep out all others: the oldest has had most time.
  if (shakes && environment_.handshakes.size() >= environment_.limits.max_handshakes)
    environment_.handshakes.front()->give_way();
  return true;
}

void StreamListener::adopt(UniqueFd fd, const sockaddr_storage& peer) {
  const ClientInfo client{.address = client_address(peer), .transport = transport_};
  const bool proxied = environment_.proxies.contains(client.address);
  auto& stats = environment_.stats;
  const auto transport = static_cast<std::size_t>(transport_);
  if (!admit(client.address, proxied)) {
    stats.ends[transport][static_cast<std::size_t>(StreamEnd::kLimit)].add();
    return;  // closed
  }
  const int on = 1;
  setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const auto id = next_id_++;
  const auto [entry, made] =
      connections_.emplace(id, std::make_unique<StreamConnection>(std::move(fd), id, client, owner_));
  auto& connection = *entry->second;
  if (!proxied) connection.set_counts_for_client();
  if (!connection.start(proxied)) {
    stats.ends[transport][static_cast<std::size_t>(StreamEnd::kError)].add();
    end(id);
  }
}

void StreamListener::end(std::uint64_t id) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  auto& connection = *found->second;
  if (connection.counts_for_client()) environment_.quota.give_client(connection.client());
  environment_.quota.give();
  ended_.push_back(std::move(found->second));
  connections_.erase(found);
}

void StreamListener::send(const ReplyPath& path, std::span<const std::uint8_t> reply) {
  if (const auto found = connections_.find(path.connection); found != connections_.end())
    found->second->reply(path, reply);
}

void StreamListener::abandon(const ReplyPath& path, DropReason why) {
  if (const auto found = connections_.find(path.connection); found != connections_.end())
    found->second->abandon(path, why);
}

void StreamListener::drain() {
  if (watching_) {
    accept_some(kBacklog);
    if (watching_) environment_.loop.forget(fd_.get(), *this);
  }
  watching_ = false;
  disarm();
  fd_.reset();
  std::vector<std::uint64_t> ids;
  ids.reserve(connections_.size());
  for (const auto& [id, connection] : connections_) ids.push_back(id);
  for (const auto id : ids) {
    if (const auto found = connections_.find(id); found != connections_.end()) found->second->drain();
  }
}

}  // namespace isthmus::dns64
