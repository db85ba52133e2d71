// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/core/rate_limit.hpp"

#include <algorithm>

namespace isthmus::dns64 {
namespace {

constexpr std::uint32_t kToken = 1000;  // thousandths

// The network that counts as one: the upper `bits6` bits of an IPv6 address, `bits4` of an IPv4 one. The two
// families never meet: the upper half of an IPv4 value is a mark that no global IPv6 address has.
std::uint64_t network_of(const ClientAddress& client, unsigned bits6, unsigned bits4) {
  if (const auto* v6 = std::get_if<Ipv6Address>(&client)) return v6->high() >> (64 - bits6);
  return std::uint64_t{0xffffffff} << 32 | std::get<Ipv4Address>(client).value() >> (32 - bits4);
}

}  // namespace

TokenTable::TokenTable(std::uint32_t rate, std::uint32_t burst, const HashKey& key, unsigned bits)
    : key_(key),
      rate_(rate),
      burst_(std::min(burst, 0xffffffffU / kToken)),
      buckets_(rate == 0 ? 0 : std::size_t{1} << bits, Bucket{0, burst_ * kToken}) {}

bool TokenTable::take(std::uint64_t a, std::uint64_t b, TimePoint now) {
  auto& bucket = buckets_[keyed_hash(key_, a, b) & (buckets_.size() - 1)];
  const auto milliseconds = static_cast<std::uint32_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count());
  // Milliseconds times tokens per second are thousandths of tokens.
  const std::uint64_t earned = std::uint64_t{milliseconds - bucket.at} * rate_;
  bucket.tokens = static_cast<std::uint32_t>(
      std::min<std::uint64_t>(bucket.tokens + earned, std::uint64_t{burst_} * kToken));
  bucket.at = milliseconds;
  if (bucket.tokens < kToken) return false;
  bucket.tokens -= kToken;
  return true;
}

ClientRateLimit::ClientRateLimit(std::uint32_t queries_per_second, const HashKey& key, unsigned bits)
    : off_(queries_per_second == 0),
      table_(queries_per_second, std::min(queries_per_second, 0x7fffffffU) * 2, key, bits) {}

bool ClientRateLimit::allows(const ClientAddress& client, TimePoint now) {
  return off_ || table_.take(network_of(client, 64, 32), 0, now);
}

ResponseRateLimit::ResponseRateLimit(std::uint32_t responses_per_second, const HashKey& key, unsigned bits)
    : off_(responses_per_second == 0),
      key_(key),
      table_(responses_per_second, responses_per_second, key, bits) {}

ResponseVerdict ResponseRateLimit::judge(const ClientAddress& client, NameView name, std::uint16_t rcode,
                                         TimePoint now) {
  if (off_ || table_.take(network_of(client, 56, 24), keyed_hash(key_, name) ^ rcode, now))
    return ResponseVerdict::kSend;
  return ++withheld_ % 2 == 0 ? ResponseVerdict::kSlip : ResponseVerdict::kDrop;
}

}  // namespace isthmus::dns64
