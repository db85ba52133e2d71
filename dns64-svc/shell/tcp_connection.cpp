// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/shell/tcp_connection.hpp"

#include <sys/socket.h>

#include <cerrno>

#include "common/net/big_endian.hpp"
#include "dns64-svc/core/wire/constants.hpp"

namespace isthmus::dns64 {

TcpConnection::TcpConnection(UniqueFd fd, std::uint64_t id, ClientInfo client, const Owner& owner)
    : fd_(std::move(fd)), id_(id), client_(client), owner_(owner) {}

TcpConnection::~TcpConnection() {
  if (watched_ != 0) owner_.loop.forget(fd_.get(), *this);
}

bool TcpConnection::start() {
  watched_ = EPOLLIN;
  if (!owner_.loop.watch(fd_.get(), watched_, *this)) {
    watched_ = 0;
    return false;
  }
  owner_.loop.arm(*this, kIdle);
  return true;
}

void TcpConnection::on_ready(std::uint32_t events) {
  if ((events & (EPOLLERR | EPOLLHUP)) != 0) return end();
  if ((events & EPOLLIN) != 0) {
    if (!read_some()) return end();
    take_requests();
  }
  write_some();
  update();
}

void TcpConnection::on_timer() {
  // What is in work is waiting for us, not for the peer.
  if (in_work_ != 0 && out_.empty()) return owner_.loop.arm(*this, kIdle);
  end();
}

bool TcpConnection::read_some() {
  constexpr std::size_t kPiece = 4096;
  const auto old = in_.size();
  in_.resize(old + kPiece);
  const auto got = recv(fd_.get(), in_.data() + old, kPiece, 0);
  in_.resize(old + (got > 0 ? static_cast<std::size_t>(got) : 0));
  if (got == 0) peer_done_ = true;
  return got >= 0 || errno == EAGAIN || errno == EINTR;
}

void TcpConnection::take_requests() {
  std::size_t at = 0;
  taking_ = true;
  while (!ended_ && in_work_ < kMaxInWork && out_.size() - sent_ < kMaxUnsent && in_.size() - at >= 2) {
    const std::size_t length = load_be16(&in_[at]);
    if (in_.size() - at - 2 < length) break;
    const std::span<const std::uint8_t> request{&in_[at] + 2, length};
    at += 2 + length;
    if (length < kHeaderSize) {  // the stream is not DNS
      end();
      break;
    }
    owner_.loop.arm(*this, kIdle);
    ++in_work_;
    ReplyPath path;
    path.connection = id_;
    const auto size = owner_.handler.handle(request, client_, owner_.channel, path, owner_.scratch);
    if (size == 0) continue;  // send() or abandon() will come, or has come already
    --in_work_;
    append(owner_.scratch.first(size));
  }
  taking_ = false;
  in_.erase(in_.begin(), in_.begin() + static_cast<std::ptrdiff_t>(at));
}

void TcpConnection::append(std::span<const std::uint8_t> reply) {
  std::uint8_t length[2];
  store_be16(length, static_cast<std::uint16_t>(reply.size()));
  out_.insert(out_.end(), length, length + 2);
  out_.insert(out_.end(), reply.begin(), reply.end());
}

void TcpConnection::send(std::span<const std::uint8_t> reply) {
  if (ended_ || in_work_ == 0) return;
  --in_work_;
  append(reply);
  if (taking_) return;
  write_some();
  update();
}

void TcpConnection::abandon() {
  if (ended_ || in_work_ == 0) return;
  --in_work_;
  update();
}

void TcpConnection::drain() {
  peer_done_ = true;
  in_.clear();
  update();
}

void TcpConnection::write_some() {
  while (!ended_ && sent_ < out_.size()) {
    const auto n = ::send(fd_.get(), out_.data() + sent_, out_.size() - sent_, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) return end();
    sent_ += static_cast<std::size_t>(n);
  }
  out_.clear();
  sent_ = 0;
}

void TcpConnection::update() {
  if (ended_ || taking_) return;
  if (peer_done_ && in_work_ == 0 && out_.empty()) return end();
  const bool room = in_work_ < kMaxInWork && out_.size() - sent_ < kMaxUnsent;
  // Requests that were read while there was no room for them.
  if (room && !peer_done_ && in_.size() >= 2 && in_.size() - 2 >= load_be16(in_.data())) {
    const auto before = in_.size();
    take_requests();
    write_some();
    if (ended_) return;
    if (in_.size() < before) return update();
  }
  const std::uint32_t wanted =
      (!peer_done_ && room ? EPOLLIN : 0U) | (out_.empty() ? 0U : static_cast<std::uint32_t>(EPOLLOUT));
  if (wanted == watched_) return;
  // Errors and hang-ups are reported even when nothing is asked for.
  if (!owner_.loop.change(fd_.get(), wanted, *this)) return end();
  watched_ = wanted;
}

void TcpConnection::end() {
  if (ended_) return;
  ended_ = true;
  disarm();
  owner_.loop.forget(fd_.get(), *this);
  watched_ = 0;
  fd_.reset();
  owner_.on_end(id_);
}

}  // namespace isthmus::dns64
