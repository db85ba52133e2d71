// SPDX-License-Identifier: Apache-2.0
// DNS cookies (RFC 7873) in the interoperable form of RFC 9018: SipHash-2-4 over client cookie, version,
// timestamp and client address under a secret that all replicas share. Two secrets overlap in a rotation:
// cookies are made with the first and accepted under either.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
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
  explicit CookieJar(const CookieSecret& current, std::optional<CookieSecret> previous = std::nullopt)
      : current_(current), previous_(previous) {}

  // `cookie` is the whole COOKIE option; `now` is Unix time in seconds.
  [[nodiscard]] CookieVerdict check(std::span<const std::uint8_t> cookie, const ClientAddress& client,
                                    std::uint32_t now) const;
  // The option to send back: client cookie (8 bytes) and a server cookie (16).
  [[nodiscard]] std::array<std::uint8_t, 24> bake(std::span<const std::uint8_t> client_cookie,
                                                  const ClientAddress& client, std::uint32_t now) const;

 private:
  CookieSecret current_;
  std::optional<CookieSecret> previous_;
};

}  // namespace isthmus::dns64
