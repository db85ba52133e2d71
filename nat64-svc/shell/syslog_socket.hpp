// SPDX-License-Identifier: Apache-2.0
// The way to a syslog collector: a local socket, UDP (RFC 5426) or TCP (RFC 6587, octet counting). Calls
// block, two seconds at most but for names that have to be asked for (getaddrinfo).
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "common/base/result.hpp"
#include "common/base/unique_fd.hpp"

namespace isthmus::nat64 {

class SyslogSocket {
 public:
  // "unix:/dev/log", "udp:HOST:PORT" or "tcp:HOST:PORT"; connects to nothing yet. The error is a sentence
  // with the remedy.
  [[nodiscard]] static Result<SyslogSocket, std::string> parse(const std::string& target);

  [[nodiscard]] bool connect();  // false: errno says why
  [[nodiscard]] bool connected() const { return fd_.valid(); }
  void close() { fd_ = UniqueFd{}; }
  // The whole message; false: it may have been sent in part, and errno says why.
  [[nodiscard]] bool send(const std::string& message);

  // TCP acknowledges; the others do not tell what became of a message.
  [[nodiscard]] bool acknowledges() const { return transport_ == Transport::kTcp; }
  // Bytes that send() took over and that the collector's machine has not acknowledged; nothing: the collector
  // has closed the connection or it is lost, and nobody knows. For TCP.
  [[nodiscard]] std::optional<std::size_t> unacknowledged() const;
  // What send() makes of a message of that many bytes.
  [[nodiscard]] static std::size_t framed_size(std::size_t message) {
    return std::to_string(message).size() + 1 + message;
  }
  [[nodiscard]] const std::string& host() const { return host_; }

 private:
  enum class Transport { kUnix, kUdp, kTcp };
  SyslogSocket(Transport transport, std::string host, std::string port)
      : transport_(transport), host_(std::move(host)), port_(std::move(port)) {}
  [[nodiscard]] bool connect_unix();
  [[nodiscard]] bool connect_inet();

  Transport transport_;
  std::string host_, port_;  // unix: the path in host_
  UniqueFd fd_;
};

}  // namespace isthmus::nat64
