// SPDX-License-Identifier: Apache-2.0
// Opening the sockets that clients talk to, and addresses as the kernel has them.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <string>

#include "common/base/result.hpp"
#include "common/base/unique_fd.hpp"
#include "dns64-svc/core/client_info.hpp"

namespace isthmus::dns64 {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;

  // "[::1]:53", "127.0.0.1:53"; addresses only. The error is a sentence.
  [[nodiscard]] static Result<SocketAddress, std::string> parse(const std::string& text);
  [[nodiscard]] bool is_ipv6() const { return storage.ss_family == AF_INET6; }
  [[nodiscard]] bool is_wildcard() const;
  [[nodiscard]] bool is_loopback() const;
  [[nodiscard]] std::string to_string() const;
};

// An IPv4-mapped address is the IPv4 client that it stands for.
[[nodiscard]] ClientAddress client_address(const sockaddr_storage& peer);

// Errors are sentences with the remedy. Each worker opens its own socket on the same address (SO_REUSEPORT);
// claim() first makes sure that no other process has it, which SO_REUSEPORT would hide.
[[nodiscard]] Result<void, std::string> claim(const SocketAddress& address, bool udp = true);
[[nodiscard]] Result<UniqueFd, std::string> open_udp(const SocketAddress& address);
[[nodiscard]] Result<UniqueFd, std::string> open_tcp(const SocketAddress& address);

}  // namespace isthmus::dns64
