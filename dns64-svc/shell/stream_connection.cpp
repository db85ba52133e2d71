// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/shell/stream_connection.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <ctime>

#include "dns64-svc/core/doh.hpp"
#include "dns64-svc/core/proxy_header.hpp"
#include "dns64-svc/session/dns_stream.hpp"
#include "dns64-svc/session/http1_session.hpp"
#include "dns64-svc/session/http2_session.hpp"

namespace isthmus::dns64 {

namespace {

constexpr Duration kLinger = std::chrono::seconds{1};
constexpr std::size_t kKept = 4096;  // bytes of an emptied buffer that are kept for the next use

std::uint16_t in_tenths(Duration idle) {
  const auto tenths = idle / std::chrono::milliseconds{100};
  return static_cast<std::uint16_t>(std::clamp<std::int64_t>(tenths, 0, 65535));
}

void empty(std::vector<std::uint8_t>& buffer) {
  if (buffer.capacity() > kKept)
    std::vector<std::uint8_t>{}.swap(buffer);
  else
    buffer.clear();
}

}  // namespace

StreamConnection::StreamConnection(UniqueFd fd, std::uint64_t id, const ClientInfo& client,
                                   const Owner& owner)
    : fd_(std::move(fd)), id_(id), client_(client), owner_(owner), environment_(owner.environment) {}

StreamConnection::~StreamConnection() {
  if (handshake_) environment_.handshakes.erase(*handshake_);
  if (!is_over()) environment_.loop.forget(fd_.get(), *this);
}

bool StreamConnection::start(bool proxied) {
  watched_ = EPOLLIN;
  if (!environment_.loop.watch(fd_.get(), watched_, *this)) {
    stage_ = Stage::kEnded;
    return false;
  }
  environment_.loop.arm(*this, environment_.limits.handshake);
  if (proxied)
    set_stage(Stage::kProxy);
  else
    begin();
  return true;
}

void StreamConnection::begin() {
  if (owner_.protocol == StreamProtocol::kDns || owner_.protocol == StreamProtocol::kHttp) return open();
  const auto& contexts = environment_.tls;
  if (contexts == nullptr) return end(StreamEnd::kTls);
  tls_ = std::make_unique<TlsEngine>(owner_.protocol == StreamProtocol::kDnsTls ? *contexts->dns
                                                                                : *contexts->http);
  set_stage(Stage::kHandshake);
}

void StreamConnection::open() {
  Session::Host& host = *this;
  set_stage(Stage::kOpen);
  const auto idle = environment_.idle();
  environment_.loop.arm(*this, idle);
  switch (owner_.protocol) {
    case StreamProtocol::kDns:
    case StreamProtocol::kDnsTls:
      client_.idle_timeout = in_tenths(idle);
      session_ = std::make_unique<DnsStream>(host);
      return;
    case StreamProtocol::kHttpsTls:
      if (tls_->protocol() == "h2")
        session_ = std::make_unique<Http2Session>(host);
      else
        session_ = std::make_unique<Http1Session>(host);
      return;
    case StreamProtocol::kHttp:
      return;  // the first bytes tell: take_plain()
  }
}

// Those that have not come as far as a request are counted apart: they cost most and have shown least.
void StreamConnection::set_stage(Stage stage) {
  stage_ = stage;
  const bool now = stage == Stage::kProxy || stage == Stage::kHandshake;
  auto& handshakes = environment_.handshakes;
  if (now && !handshake_) handshake_ = handshakes.insert(handshakes.end(), this);
  if (!now && handshake_) {
    handshakes.erase(*handshake_);
    handshake_.reset();
  }
  auto& open = environment_.stats.open[transport()];
  const bool serves = stage != Stage::kLingering && stage != Stage::kEnded;
  if (serves && !counts_as_open_) open.set(open.get() + 1);
  if (!serves && counts_as_open_) open.set(open.get() - 1);
  counts_as_open_ = serves;
}

// --- what comes ---

void StreamConnection::on_ready(std::uint32_t events) {
  if ((events & EPOLLERR) != 0) return end(StreamEnd::kPeer);
  if ((events & EPOLLIN) != 0)
    read_some();
  else if ((events & EPOLLHUP) != 0)
    return end(StreamEnd::kPeer);
  advance();
}

void StreamConnection::read_some() {
  auto& buffer = environment_.received;
  const auto size = recv(fd_.get(), buffer.data(), buffer.size(), 0);
  if (size < 0 && errno != EAGAIN && errno != EINTR) return end(StreamEnd::kPeer);
  if (size == 0) peer_done_ = true;
  if (size <= 0 || stage_ == Stage::kLingering) return;
  take(std::span{buffer}.first(static_cast<std::size_t>(size)));
}

void StreamConnection::take(std::span<const std::uint8_t> bytes) {
  if (stage_ == Stage::kProxy) bytes = take_proxy(bytes);
  if (stage_ == Stage::kProxy || is_over()) return;
  if (tls_)
    take_encrypted(bytes);
  else
    take_plain(bytes);
}

// The header byte for byte, and not one more: what follows is TLS's or the session's.
std::span<const std::uint8_t> StreamConnection::take_proxy(std::span<const std::uint8_t> bytes) {
  for (;;) {
    const auto wanted = proxy_header_size(in_);
    if (!wanted) {
      end(StreamEnd::kProxy);
      return {};
    }
    if (in_.size() == *wanted) break;
    const auto size = std::min(*wanted - in_.size(), bytes.size());
    if (size == 0) return {};
    in_.insert(in_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
    bytes = bytes.subspan(size);
  }
  const auto header = parse_proxy_header(in_);
  in_.clear();
  if (!header) {
    end(StreamEnd::kProxy);
    return {};
  }
  if (header->client) {
    environment_.stats.proxied.add();
    client_.address = *header->client;
    counts_for_client_ =
        environment_.has_room_for(client_.address) && environment_.quota.take_client(client_.address);
    if (!counts_for_client_) {
      end(StreamEnd::kLimit);
      return {};
    }
  }
  begin();
  return bytes;
}

void StreamConnection::take_encrypted(std::span<const std::uint8_t> bytes) {
  auto& plain = environment_.plain;
  plain.clear();
  const auto state = tls_->receive(bytes, plain, out_);
  // The peer may have said all, and that it says no more, in one piece.
  const bool good = state == TlsEngine::State::kOpen || state == TlsEngine::State::kClosed;
  if (stage_ == Stage::kHandshake && good && tls_->established()) {
    environment_.stats.handshakes[transport()].add();
    if (tls_->resumed()) environment_.stats.resumed[transport()].add();
    open();
  }
  if (!plain.empty() && stage_ == Stage::kOpen) take_plain(plain);
  if (state == TlsEngine::State::kClosed) peer_done_ = true;
  if (state == TlsEngine::State::kFailed && !is_over()) {
    write_some();  // the alert says why
    end(StreamEnd::kTls);
  }
}

void StreamConnection::take_plain(std::span<const std::uint8_t> bytes) {
  if (session_ == nullptr) {  // HTTP without TLS: HTTP/2 begins with "PRI * HTTP/2.0" (RFC 9113 §3.4)
    in_.insert(in_.end(), bytes.begin(), bytes.end());
    if (in_.size() < 2) return;
    Session::Host& host = *this;
    if (in_[0] == 'P' && in_[1] == 'R')
      session_ = std::make_unique<Http2Session>(host);
    else
      session_ = std::make_unique<Http1Session>(host);
    return offer();
  }
  if (!in_.empty()) {
    in_.insert(in_.end(), bytes.begin(), bytes.end());
    return offer();
  }
  taking_ = true;
  const auto used = session_->receive(bytes);
  taking_ = false;
  if (used < bytes.size()) in_.assign(bytes.begin() + static_cast<std::ptrdiff_t>(used), bytes.end());
}

void StreamConnection::offer() {
  taking_ = true;
  const auto used = session_->receive(in_);
  taking_ = false;
  in_.erase(in_.begin(), in_.begin() + static_cast<std::ptrdiff_t>(used));
  if (in_.empty()) empty(in_);
}

std::size_t StreamConnection::on_request(std::span<const std::uint8_t> message, std::uint64_t exchange) {
  environment_.loop.arm(*this, environment_.idle());
  ReplyPath path;
  path.connection = id_;
  path.exchange = exchange;
  return environment_.handler.handle(message, client_, owner_.channel, path, environment_.room);
}

const std::string& StreamConnection::http_date() {
  const auto now = static_cast<std::uint32_t>(std::time(nullptr));
  if (now != environment_.date_of) {
    environment_.date_of = now;
    environment_.date = dns64::http_date(now);
  }
  return environment_.date;
}

// --- what goes ---

void StreamConnection::reply(const ReplyPath& path, std::span<const std::uint8_t> message) {
  if (is_over() || session_ == nullptr) return;
  if (!session_->takes_reply()) return end(StreamEnd::kSlowReader);
  session_->reply(path.exchange, message);
  if (stage_ == Stage::kOpen) environment_.loop.arm(*this, environment_.idle());
  advance();
}

void StreamConnection::abandon(const ReplyPath& path, DropReason why) {
  if (is_over() || session_ == nullptr) return;
  session_->abandon(path.exchange, why);
  advance();
}

void StreamConnection::advance() {
  if (taking_ || is_over()) return;
  for (;;) {
    flush();
    if (is_over()) return;
    // Requests that came while there was no room for them.
    if (stage_ != Stage::kOpen || session_ == nullptr || in_.empty() || !session_->takes_more()) break;
    const auto before = in_.size();
    offer();
    if (in_.size() == before) break;
  }
  if (stage_ == Stage::kOpen && session_ != nullptr && session_->finished() && out_.empty()) return linger();
  if (peer_done_) {
    const bool owes =
        stage_ == Stage::kOpen && session_ != nullptr && (session_->in_work() != 0 || !out_.empty());
    if (!owes) return end(stage_ == Stage::kLingering ? why_ : StreamEnd::kPeer);
  }
  watch();
}

void StreamConnection::flush() {
  for (;;) {
    if (tls_ && !said_.empty()) {
      const bool sealed = tls_->send(said_, out_);
      empty(said_);
      if (!sealed) return end(StreamEnd::kTls);
    }
    const bool wrote = !out_.empty();
    write_some();
    if (is_over() || !out_.empty() || !wrote || session_ == nullptr) return;
    session_->on_writable();
    if (out().empty()) return;
  }
}

void StreamConnection::write_some() {
  while (sent_ < out_.size()) {
    const auto size = ::send(fd_.get(), out_.data() + sent_, out_.size() - sent_, MSG_NOSIGNAL);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EAGAIN) return;
    if (size <= 0) return end(StreamEnd::kPeer);
    sent_ += static_cast<std::size_t>(size);
  }
  empty(out_);
  sent_ = 0;
}

void StreamConnection::watch() {
  const bool reads = !peer_done_ && (stage_ != Stage::kOpen || session_ == nullptr || session_->takes_more());
  const std::uint32_t wanted =
      (reads ? EPOLLIN : 0U) | (out_.empty() ? 0U : static_cast<std::uint32_t>(EPOLLOUT));
  if (wanted == watched_) return;
  // Errors and hang-ups are reported even when nothing is asked for.
  if (!environment_.loop.change(fd_.get(), wanted, *this)) return end(StreamEnd::kError);
  watched_ = wanted;
}

// --- the end ---

void StreamConnection::on_timer() {
  switch (stage_) {
    case Stage::kProxy:
    case Stage::kHandshake:
      return end(StreamEnd::kHandshake);
    case Stage::kLingering:
      return end(why_);
    case Stage::kEnded:
      return;
    case Stage::kOpen:
      break;
  }
  if (!out_.empty()) return end(StreamEnd::kSlowReader);
  // What is in work is waiting for us, not for the peer.
  if (session_ != nullptr && session_->in_work() != 0)
    return environment_.loop.arm(*this, environment_.idle());
  if (session_ != nullptr) session_->drain();
  if (tls_) {
    (void)tls_->send(said_, out_);
    tls_->close(out_);
  }
  write_some();
  if (!is_over()) end(StreamEnd::kIdle);
}

void StreamConnection::drain() {
  why_ = StreamEnd::kDrained;
  if (stage_ != Stage::kLingering) read_some();  // what has come already is in work
  if (is_over()) return;
  if (session_ == nullptr || stage_ != Stage::kOpen) return end(StreamEnd::kDrained);
  session_->drain();
  advance();
}

// A close with unread bytes would reset the connection, and the peer might lose what it has not read yet.
void StreamConnection::linger() {
  if (tls_) {
    tls_->close(out_);
    write_some();
    if (is_over()) return;
  }
  if (peer_done_) return end(why_);
  ::shutdown(fd_.get(), SHUT_WR);
  empty(in_);
  empty(out_);
  sent_ = 0;
  set_stage(Stage::kLingering);
  environment_.loop.arm(*this, kLinger);
  watch();
}

void StreamConnection::end(StreamEnd why) {
  if (is_over()) return;
  environment_.stats.ends[transport()][static_cast<std::size_t>(why)].add();
  set_stage(Stage::kEnded);
  disarm();
  environment_.loop.forget(fd_.get(), *this);
  fd_.reset();
  owner_.on_end(id_);
}

}  // namespace isthmus::dns64
