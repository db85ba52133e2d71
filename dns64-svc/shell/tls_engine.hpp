// SPDX-License-Identifier: Apache-2.0
// One TLS connection of a server, without its socket: encrypted bytes in, plain bytes out, and the other way
// round. All that came is taken at once, so nothing waits inside OpenSSL that epoll does not know of.
#pragma once

#include <openssl/ssl.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "dns64-svc/shell/tls_context.hpp"

namespace isthmus::dns64 {

class TlsEngine {
 public:
  enum class State : std::uint8_t {
    kHandshaking,
    kOpen,
    kClosed,  // the peer said that it sends no more
    kFailed   // an alert for the peer may be in `wire`
  };

  explicit TlsEngine(const TlsContext& context);
  TlsEngine(const TlsEngine&) = delete;
  TlsEngine& operator=(const TlsEngine&) = delete;

  // Takes what came. Appends to `plain` what it says and to `wire` what is to be sent for it.
  [[nodiscard]] State receive(std::span<const std::uint8_t> came, std::vector<std::uint8_t>& plain,
                              std::vector<std::uint8_t>& wire);
  // Once open: appends `plain`, encrypted, to `wire`.
  [[nodiscard]] bool send(std::span<const std::uint8_t> plain, std::vector<std::uint8_t>& wire);
  // close_notify: the peer knows that nothing was cut off.
  void close(std::vector<std::uint8_t>& wire);

  [[nodiscard]] std::string_view protocol() const;  // by ALPN; empty: the client offered none
  [[nodiscard]] bool established() const { return SSL_is_init_finished(ssl_.get()) == 1; }
  [[nodiscard]] bool resumed() const { return SSL_session_reused(ssl_.get()) == 1; }

 private:
  struct Deleter {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };
  struct Transport;  // OpenSSL's view of the two buffers below
  [[nodiscard]] State read_all(std::vector<std::uint8_t>& plain);

  std::unique_ptr<SSL, Deleter> ssl_;
  std::span<const std::uint8_t> came_;         // during receive()
  std::vector<std::uint8_t>* wire_ = nullptr;  // during each call
  State state_ = State::kHandshaking;
};

}  // namespace isthmus::dns64
