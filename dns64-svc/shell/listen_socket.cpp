// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/shell/listen_socket.hpp"

#include <arpa/inet.h>
#include <netinet/tcp.h>

#include <cerrno>
#include <cstring>

#include "common/net/host_port.hpp"

namespace isthmus::dns64 {

namespace {

sockaddr_in ipv4_of(const sockaddr_storage& storage) {
  sockaddr_in v4{};
  std::memcpy(&v4, &storage, sizeof v4);
  return v4;
}
sockaddr_in6 ipv6_of(const sockaddr_storage& storage) {
  sockaddr_in6 v6{};
  std::memcpy(&v6, &storage, sizeof v6);
  return v6;
}

std::string_view remedy(int error) {
  if (error == EADDRINUSE)
    return "stop the program that uses it (ss -lpn shows it) or choose another --listen";
  if (error == EACCES) return "give the program CAP_NET_BIND_SERVICE or choose a port above 1023";
  if (error == EADDRNOTAVAIL) return "add the address to an interface or choose another --listen";
  if (error == EMFILE || error == ENFILE) return "raise the limit of open files (ulimit -n)";
  return "check --listen";
}

std::string problem(const SocketAddress& address, const char* protocol, int error) {
  return "cannot listen on " + address.to_string() + " (" + protocol + "): " + std::strerror(error) + ": " +
         std::string{remedy(error)};
}

bool set(int fd, int level, int option, int value = 1) {
  return setsockopt(fd, level, option, &value, sizeof value) == 0;
}

enum class Share { kNo, kReusePort };

Result<UniqueFd, std::string> open_socket(const SocketAddress& address, int type, Share share) {
  const char* protocol = type == SOCK_DGRAM ? "UDP" : "TCP";
  UniqueFd fd{socket(address.storage.ss_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (!fd.valid()) return failure(problem(address, protocol, errno));
  bool ok = true;
  if (share == Share::kReusePort) ok = set(fd.get(), SOL_SOCKET, SO_REUSEPORT);
  // TCP: an old connection in TIME_WAIT does not hinder a restart.
  if (ok && type == SOCK_STREAM) ok = set(fd.get(), SOL_SOCKET, SO_REUSEADDR);
  if (ok && address.is_ipv6()) ok = set(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY);
  sockaddr_storage storage = address.storage;
  if (!ok || bind(fd.get(), reinterpret_cast<const sockaddr*>(&storage), address.size) != 0)
    return failure(problem(address, protocol, errno));
  if (type == SOCK_STREAM && listen(fd.get(), 512) != 0) return failure(problem(address, protocol, errno));
  return fd;
}

}  // namespace

Result<SocketAddress, std::string> SocketAddress::parse(const std::string& text) {
  SocketAddress made;
  const auto parts = parse_host_port(text);
  sockaddr_in6 v6{};
  sockaddr_in v4{};
  if (parts && inet_pton(AF_INET6, parts->host.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(parts->port);
    made.size = sizeof v6;
    std::memcpy(&made.storage, &v6, sizeof v6);
  } else if (parts && inet_pton(AF_INET, parts->host.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(parts->port);
    made.size = sizeof v4;
    std::memcpy(&made.storage, &v4, sizeof v4);
  } else {
    return failure("\"" + text + "\" is not an address to listen on: write [::1]:53 or 127.0.0.1:53");
  }
  return made;
}

bool SocketAddress::is_wildcard() const {
  if (!is_ipv6()) return ipv4_of(storage).sin_addr.s_addr == htonl(INADDR_ANY);
  const auto v6 = ipv6_of(storage);
  return IN6_IS_ADDR_UNSPECIFIED(&v6.sin6_addr);
}

bool SocketAddress::is_loopback() const {
  if (!is_ipv6()) return (ntohl(ipv4_of(storage).sin_addr.s_addr) >> 24) == 127;
  const auto v6 = ipv6_of(storage);
  return IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
}

std::string SocketAddress::to_string() const {
  char text[INET6_ADDRSTRLEN] = "";
  if (is_ipv6()) {
    const auto v6 = ipv6_of(storage);
    inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
    return "[" + std::string{text} + "]:" + std::to_string(ntohs(v6.sin6_port));
  }
  const auto v4 = ipv4_of(storage);
  inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
  return std::string{text} + ":" + std::to_string(ntohs(v4.sin_port));
}

ClientAddress client_address(const sockaddr_storage& peer) {
  if (peer.ss_family == AF_INET) return Ipv4Address{ntohl(ipv4_of(peer).sin_addr.s_addr)};
  const auto v6 = ipv6_of(peer);
  if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) return Ipv4Address::load(&v6.sin6_addr.s6_addr[12]);
  return Ipv6Address::load(v6.sin6_addr.s6_addr);
}

Result<void, std::string> claim(const SocketAddress& address, bool udp) {
  for (const int type : {SOCK_DGRAM, SOCK_STREAM}) {
    if (type == SOCK_DGRAM && !udp) continue;
    if (const auto probe = open_socket(address, type, Share::kNo); !probe) return failure(probe.error());
  }
  return {};
}

Result<UniqueFd, std::string> open_udp(const SocketAddress& address) {
  auto fd = open_socket(address, SOCK_DGRAM, Share::kReusePort);
  if (!fd) return fd;
  // Bursts wait in the socket rather than being lost; the kernel caps what it grants.
  set(fd->get(), SOL_SOCKET, SO_RCVBUF, 4 << 20);
  set(fd->get(), SOL_SOCKET, SO_SNDBUF, 4 << 20);
  if (address.is_ipv6()) {
    // RFC 9715: answers are cut to fit and never fragmented on the way to "Packet Too Big" games.
    set(fd->get(), IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_OMIT);
    if (address.is_wildcard()) set(fd->get(), IPPROTO_IPV6, IPV6_RECVPKTINFO);
  } else {
    set(fd->get(), IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_OMIT);
    if (address.is_wildcard()) set(fd->get(), IPPROTO_IP, IP_PKTINFO);
  }
  return fd;
}

Result<UniqueFd, std::string> open_tcp(const SocketAddress& address) {
  auto fd = open_socket(address, SOCK_STREAM, Share::kReusePort);
  // RFC 7766 §5 recommends TCP Fast Open; where the kernel has it off, nothing is lost.
  if (fd) set(fd->get(), IPPROTO_TCP, TCP_FASTOPEN, 256);
  return fd;
}

}  // namespace isthmus::dns64
