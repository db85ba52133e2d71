// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/core/cookies.hpp"

#include <algorithm>
#include <bit>

#include "common/net/big_endian.hpp"

namespace isthmus::dns64 {
namespace {

std::uint64_t load_le64(const std::uint8_t* p) {
  return __builtin_bswap64(load_be64(p));
}

struct SipState {
  std::uint64_t a, b, c, d;
  void round() {
    a += b;
    b = std::rotl(b, 13) ^ a;
    a = std::rotl(a, 32);
    c += d;
    d = std::rotl(d, 16) ^ c;
    a += d;
    d = std::rotl(d, 21) ^ a;
    c += b;
    b = std::rotl(b, 17) ^ c;
    c = std::rotl(c, 32);
  }
  void absorb(std::uint64_t word) {
    d ^= word;
    round();
    round();
    a ^= word;
  }
};

constexpr std::uint32_t kLifetime = 3600;  // RFC 9018 §4.3: an hour back,
constexpr std::uint32_t kAhead = 300;      // five minutes ahead for clocks that differ

// RFC 9018 §4.4: hash over client cookie, version and reserved, timestamp, client address.
std::uint64_t hash_of(const CookieSecret& secret, std::span<const std::uint8_t> first_16,
                      const ClientAddress& client) {
  std::array<std::uint8_t, 32> input;
  std::copy_n(first_16.begin(), 16, input.begin());
  std::size_t size = 16;
  if (const auto* v6 = std::get_if<Ipv6Address>(&client)) {
    v6->store(&input[16]);
    size += 16;
  } else {
    std::get<Ipv4Address>(client).store(&input[16]);
    size += 4;
  }
  // SipHash's result goes on the wire in its own (little-endian) byte order.
  return __builtin_bswap64(siphash24(secret, {input.data(), size}));
}

}  // namespace

std::uint64_t siphash24(const CookieSecret& key, std::span<const std::uint8_t> bytes) {
  const std::uint64_t k0 = load_le64(key.data());
  const std::uint64_t k1 = load_le64(key.data() + 8);
  SipState state{k0 ^ 0x736f6d6570736575ULL, k1 ^ 0x646f72616e646f6dULL, k0 ^ 0x6c7967656e657261ULL,
                 k1 ^ 0x7465646279746573ULL};
  std::size_t at = 0;
  for (; at + 8 <= bytes.size(); at += 8) state.absorb(load_le64(&bytes[at]));
  std::uint64_t last = std::uint64_t{bytes.size() & 0xff} << 56;
  for (unsigned shift = 0; at < bytes.size(); ++at, shift += 8) last |= std::uint64_t{bytes[at]} << shift;
  state.absorb(last);
  state.c ^= 0xff;
  for (int i = 0; i < 4; ++i) state.round();
  return state.a ^ state.b ^ state.c ^ state.d;
}

CookieVerdict CookieJar::check(std::span<const std::uint8_t> cookie, const ClientAddress& client,
                               std::uint32_t now) const {
  if (cookie.size() == 8) return CookieVerdict::kAbsent;
  if (cookie.size() < 16 || cookie.size() > 40) return CookieVerdict::kMalformed;
  if (cookie.size() != 24 || cookie[8] != 1) return CookieVerdict::kInvalid;  // another server's form
  // RFC 9018 §4.3: serial arithmetic, so that 2106 passes unnoticed.
  const auto age = static_cast<std::int32_t>(now - load_be32(&cookie[12]));
  if (age > static_cast<std::int32_t>(kLifetime) || age < -static_cast<std::int32_t>(kAhead))
    return CookieVerdict::kInvalid;
  const auto given = load_be64(&cookie[16]);
  const bool known =
      std::any_of(secrets_.begin(), secrets_.begin() + static_cast<std::ptrdiff_t>(count_),
                  [&](const auto& secret) { return given == hash_of(secret, cookie, client); });
  return known ? CookieVerdict::kValid : CookieVerdict::kInvalid;
}

std::array<std::uint8_t, 24> CookieJar::bake(std::span<const std::uint8_t> client_cookie,
                                             const ClientAddress& client, std::uint32_t now) const {
  std::array<std::uint8_t, 24> cookie{};
  std::copy_n(client_cookie.begin(), 8, cookie.begin());
  cookie[8] = 1;  // version
  store_be32(&cookie[12], now);
  store_be64(&cookie[16], hash_of(secrets_.front(), cookie, client));
  return cookie;
}

}  // namespace isthmus::dns64
