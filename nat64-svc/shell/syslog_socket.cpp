// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/syslog_socket.hpp"

#include <linux/sockios.h>
#include <netdb.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "common/net/host_port.hpp"

namespace isthmus::nat64 {
namespace {

constexpr timeval kPatience{2, 0};
constexpr int kMostHeard = 64;  // reads at once of what a collector should not send

}  // namespace

Result<SyslogSocket, std::string> SyslogSocket::parse(const std::string& target) {
  const auto refused = [&] {
    return failure("--events-syslog " + target +
                   " is none of unix:/dev/log, udp:HOST:PORT, tcp:HOST:PORT ([...] around an IPv6 address)");
  };
  const auto colon = target.find(':');
  if (colon == std::string::npos) return refused();
  const auto kind = target.substr(0, colon);
  const auto rest = target.substr(colon + 1);
  if (kind == "unix") {
    if (rest.empty() || rest.size() >= sizeof(sockaddr_un{}.sun_path)) return refused();
    return SyslogSocket(Transport::kUnix, rest, {});
  }
  const auto address = parse_host_port(rest);
  if (!address || (kind != "udp" && kind != "tcp")) return refused();
  return SyslogSocket(kind == "udp" ? Transport::kUdp : Transport::kTcp, address->host,
                      std::to_string(address->port));
}

bool SyslogSocket::connect() {
  return transport_ == Transport::kUnix ? connect_unix() : connect_inet();
}

bool SyslogSocket::connect_unix() {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::copy(host_.begin(), host_.end(), address.sun_path);
  UniqueFd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return false;
  setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof kPatience);
  const auto* generic = static_cast<const sockaddr*>(static_cast<const void*>(&address));
  if (::connect(fd.get(), generic, sizeof address) != 0) return false;
  fd_ = std::move(fd);
  return true;
}

bool SyslogSocket::connect_inet() {
  addrinfo hints{};
  hints.ai_socktype = transport_ == Transport::kUdp ? SOCK_DGRAM : SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host_.c_str(), port_.c_str(), &hints, &found) != 0) {
    errno = EHOSTUNREACH;
    return false;
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> all(found, &freeaddrinfo);
  for (const auto* at = found; at != nullptr; at = at->ai_next) {
    UniqueFd fd(socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC, at->ai_protocol));
    if (!fd.valid()) continue;
    // For connect() of TCP too.
    setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof kPatience);
    if (::connect(fd.get(), at->ai_addr, at->ai_addrlen) != 0) continue;
    fd_ = std::move(fd);
    return true;
  }
  return false;
}

bool SyslogSocket::send(const std::string& message) {
  if (transport_ != Transport::kTcp)
    return ::send(fd_.get(), message.data(), message.size(), MSG_NOSIGNAL) >= 0;
  const std::string framed = std::to_string(message.size()) + " " + message;  // RFC 6587 §3.4.1
  for (std::size_t at = 0; at < framed.size();) {
    const auto n = ::send(fd_.get(), framed.data() + at, framed.size() - at, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    at += static_cast<std::size_t>(n);
  }
  return true;
}

// The number is asked for first: a connection that was lost before is seen afterwards, one that is lost later
// does not make it wrong. A collector says nothing, so what it sends is the end, and else thrown away, a
// bounded part of it at a time.
std::optional<std::size_t> SyslogSocket::unacknowledged() const {
  int bytes = 0;
  if (ioctl(fd_.get(), SIOCOUTQ, &bytes) != 0 || bytes < 0) return std::nullopt;
  for (int i = 0; i < kMostHeard; ++i) {
    char heard[256];
    const auto n = recv(fd_.get(), heard, sizeof heard, MSG_DONTWAIT);
    if (n == 0) return std::nullopt;
    if (n < 0 && errno == EAGAIN) break;
    if (n < 0 && errno != EINTR) return std::nullopt;
  }
  return static_cast<std::size_t>(bytes);
}

}  // namespace isthmus::nat64
