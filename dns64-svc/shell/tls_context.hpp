// SPDX-License-Identifier: Apache-2.0
// What TLS towards clients needs: certificate, key, protocols. Immutable and shared by the workers; a changed
// certificate makes another one, and connections keep the one they began with.
#pragma once

#include <openssl/ssl.h>

#include <cstdint>
#include <memory>
#include <string>

#include "common/base/clock.hpp"
#include "common/base/result.hpp"

namespace isthmus::dns64 {

enum class TlsProtocol : std::uint8_t { kDns, kHttp };  // ALPN "dot" (RFC 7858); "h2" and "http/1.1"

class TlsContext {
 public:
  // PEM files; the certificate's file holds its chain too. `previous` lends its ticket keys for as long as
  // they may be used, so that sessions can be resumed across a change of certificate. The error is a sentence
  // with the remedy.
  [[nodiscard]] static Result<std::shared_ptr<const TlsContext>, std::string> load(
      const std::string& certificate, const std::string& key, TlsProtocol protocol, TimePoint now,
      const TlsContext* previous = nullptr);
  // Whoever learns the ticket keys can read what was said under them: they are used for a day. RFC 9325 §3.4
  // wants them changed often.
  [[nodiscard]] bool has_old_keys(TimePoint now) const { return now - keys_made_ >= std::chrono::hours{24}; }

  [[nodiscard]] SSL_CTX* get() const { return context_.get(); }
  [[nodiscard]] std::int64_t not_after() const { return not_after_; }  // Unix time in seconds

 private:
  struct Deleter {
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  };
  TlsContext() = default;
  std::unique_ptr<SSL_CTX, Deleter> context_;
  std::int64_t not_after_ = 0;
  TimePoint keys_made_;
};

// The same certificate for both protocols.
struct TlsContexts {
  std::shared_ptr<const TlsContext> dns;
  std::shared_ptr<const TlsContext> http;

  [[nodiscard]] static Result<std::shared_ptr<const TlsContexts>, std::string> load(
      const std::string& certificate, const std::string& key, TimePoint now,
      const TlsContexts* previous = nullptr);
};

}  // namespace isthmus::dns64
