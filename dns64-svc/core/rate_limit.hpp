// SPDX-License-Identifier: Apache-2.0
// Two limits, each a fixed table of token buckets: memory does not grow with clients, and a bucket that two
// share only errs by being shared. Per worker, not thread-safe; the hash is keyed, so nobody can aim at
// another's bucket.
//
//   ClientRateLimit    queries per second of one client (an IPv6 /64, an IPv4 address), any transport.
//   ResponseRateLimit  equal responses per second towards one network (/56, /24) over UDP: a victim whose
//   address is
//                      forged gets no flood. Every second response that it withholds is sent as TC instead
//                      ("slip"), so that a real client there can ask again over TCP. A client with a valid
//                      cookie has proved its address and is not limited.
#pragma once

#include <cstdint>
#include <vector>

#include "common/base/clock.hpp"
#include "common/net/keyed_hash.hpp"
#include "dns64-svc/core/client_info.hpp"
#include "dns64-svc/core/wire/name.hpp"

namespace isthmus::dns64 {

class TokenTable {
 public:
  // `rate` tokens per second, at most `burst` saved up; 2^bits buckets of 8 bytes.
  TokenTable(std::uint32_t rate, std::uint32_t burst, const HashKey& key, unsigned bits);
  // Takes one token of the bucket of (a, b); false when it has none.
  [[nodiscard]] bool take(std::uint64_t a, std::uint64_t b, TimePoint now);

 private:
  struct Bucket {
    std::uint32_t at = 0;      // milliseconds, when `tokens` was right
    std::uint32_t tokens = 0;  // thousandths
  };
  HashKey key_;
  std::uint32_t rate_;
  std::uint32_t burst_;
  std::vector<Bucket> buckets_;
};

class ClientRateLimit {
 public:
  // queries_per_second 0: no limit. A client may save up two seconds' worth.
  ClientRateLimit(std::uint32_t queries_per_second, const HashKey& key, unsigned bits = 16);
  [[nodiscard]] bool allows(const ClientAddress& client, TimePoint now);

 private:
  bool off_;
  TokenTable table_;
};

enum class ResponseVerdict : std::uint8_t { kSend, kSlip, kDrop };

class ResponseRateLimit {
 public:
  // responses_per_second 0: no limit.
  ResponseRateLimit(std::uint32_t responses_per_second, const HashKey& key, unsigned bits = 16);
  // `name` is what makes responses equal: the question's name; for errors and NXDOMAIN the caller gives a
  // common one, or random names would each have a bucket.
  [[nodiscard]] ResponseVerdict judge(const ClientAddress& client, NameView name, std::uint16_t rcode,
                                      TimePoint now);

 private:
  bool off_;
  HashKey key_;
  TokenTable table_;
  std::uint32_t withheld_ = 0;
};

}  // namespace isthmus::dns64
