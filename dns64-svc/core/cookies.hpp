// SPDX-License-Identifier: Apache-2.0
// DNS cookies (RFC 7873) in the interoperable form of RFC 9018: SipHash-2-4 over client cookie, version,
// timestamp and client address under a secret that all replicas share. In a rotation secrets overlap: cookies
// are made with the first and accepted under any.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "dns64-svc/core/client_info.hpp"

namespace isthmus::dns64 {

using CookieSecret = std::array<std::uint8_t, 16>;

// SipHash-2-4 with a 64-bit result.
[[nodiscard]] std::uint64_t siphash24(const CookieSecret& key, std::span<const std::uint8_t> bytes);

enum class CookieVerdict : std::uint8_t {
  kAbsent,     // no server cookie: an ordinary client
  kMalformed,  // RFC 7873 §5.2.2: FORMERR
  kInvalid,    // wrong or out of time
  kValid
};

class CookieJar {
 public:
  static constexpr std::size_t kMaxSecrets = 4;

  explicit CookieJar(const CookieSecret& current) : secrets_{current} {}
  // Also the cookies of the secret before, or of the one to come. At most kMaxSecrets in all; more are
  // ignored.
  void accept_also(const CookieSecret& secret) {
    if (count_ < kMaxSecrets) secrets_[count_++] = secret;
  }

  // `cookie` is the whole COOKIE option; `now` is Unix time in seconds.
  [[nodiscard]] CookieVerdict check(std::span<const std::uint8_t> cookie, const ClientAddress& client,
                                    std::uint32_t now) const;
  // The option to send back: client cookie (8 bytes) and a server cookie (16).
  [[nodiscard]] std::array<std::uint8_t, 24> bake(std::span<const std::uint8_t> client_cookie,
                                                  const ClientAddress& client, std::uint32_t now) const;

 private:
  std::array<CookieSecret, kMaxSecrets> secrets_;
  std::size_t count_ = 1;
};

}  // namespace isthmus::dns64
