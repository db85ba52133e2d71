// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/shell/collector_stream.hpp"

#include <fstrm.h>
#include <sys/un.h>

#include <cstddef>
#include <cstring>

namespace isthmus::dns64 {
namespace {

constexpr Duration kStalled = std::chrono::seconds{5};  // without progress; then the connection is given up
constexpr std::size_t kMostParts = 1024;                // IOV_MAX

std::optional<SocketAddress> unix_address(const std::string& path) {
  sockaddr_un address{};
  if (path.size() >= sizeof address.sun_path) return std::nullopt;
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  SocketAddress made;
  std::memcpy(&made.storage, &address, sizeof address);
  made.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
  return made;
}

fstrm_res result(bool good) {
  return good ? fstrm_res_success : fstrm_res_failure;
}

}  // namespace

std::optional<SocketAddress> CollectorStream::parse(const std::string& target) {
  if (target.starts_with("unix:/")) return unix_address(target.substr(5));
  if (!target.starts_with("tcp:")) return std::nullopt;
  auto address = SocketAddress::parse(target.substr(4));
  return address ? std::optional{*address} : std::nullopt;
}

fstrm_rdwr* CollectorStream::rdwr() {
  auto* made = fstrm_rdwr_init(this);
  if (made == nullptr) return nullptr;
  fstrm_rdwr_set_open(made, [](void* self) { return result(static_cast<CollectorStream*>(self)->open()); });
  fstrm_rdwr_set_close(made, [](void* self) {
    static_cast<CollectorStream*>(self)->fd_.reset();
    return fstrm_res_success;
  });
  fstrm_rdwr_set_read(made, [](void* self, void* data, std::size_t size) {
    const auto read = static_cast<CollectorStream*>(self)->read(data, size);
    return read == Transfer::kEnd ? fstrm_res_stop : result(read == Transfer::kDone);
  });
  fstrm_rdwr_set_write(made, [](void* self, const iovec* parts, int count) {
    return result(static_cast<CollectorStream*>(self)->write(parts, count));
  });
  return made;
}

bool CollectorStream::may_try_again(short events) const {
  if (errno == EINTR) return true;
  return (errno == EAGAIN || errno == EINPROGRESS) &&
         patience_.wait(fd_.get(), events, boot_now() + kStalled);
}

bool CollectorStream::open() {
  fd_.reset(socket(collector_.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd_.valid()) return false;
  int error = 0;
  socklen_t size = sizeof error;
  if (connect(fd_.get(), reinterpret_cast<const sockaddr*>(&collector_.storage), collector_.size) == 0)
    return true;
  // A Unix socket says EAGAIN when its collector accepts nothing: that is not under way, but over.
  const bool connected = errno == EINPROGRESS && may_try_again(POLLOUT) &&
                         getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0;
  if (!connected) fd_.reset();
  return connected;
}

bool CollectorStream::write(const iovec* parts, int count) {
  left_.assign(parts, parts + count);
  for (std::size_t at = 0; at < left_.size();) {
    msghdr message{};
    message.msg_iov = &left_[at];
    message.msg_iovlen = std::min(left_.size() - at, kMostParts);
    auto sent = fd_.valid() ? sendmsg(fd_.get(), &message, MSG_NOSIGNAL) : -1;
    if (sent < 0) {
      if (fd_.valid() && may_try_again(POLLOUT)) continue;
      fd_.reset();
      return false;
    }
    for (; at < left_.size() && static_cast<std::size_t>(sent) >= left_[at].iov_len; ++at)
      sent -= static_cast<ssize_t>(left_[at].iov_len);
    if (at == left_.size()) break;
    left_[at].iov_base = static_cast<char*>(left_[at].iov_base) + sent;
    left_[at].iov_len -= static_cast<std::size_t>(sent);
  }
  return true;
}

CollectorStream::Transfer CollectorStream::read(void* data, std::size_t size) {
  for (std::size_t have = 0; have < size;) {
    const auto got = fd_.valid() ? recv(fd_.get(), static_cast<char*>(data) + have, size - have, 0) : -1;
    if (got == 0) return Transfer::kEnd;
    if (got > 0) {
      have += static_cast<std::size_t>(got);
    } else if (!fd_.valid() || !may_try_again(POLLIN)) {
      fd_.reset();
      return Transfer::kFailed;
    }
  }
  return Transfer::kDone;
}

}  // namespace isthmus::dns64
