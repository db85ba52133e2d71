// SPDX-License-Identifier: Apache-2.0
// ICMP errors that we originate, made in place of the packet they answer.
#pragma once

#include <algorithm>
#include <span>

#include "common/base/clock.hpp"
#include "nat64-svc/core/packet/parsed.hpp"
#include "nat64-svc/core/packet_buffer.hpp"
#include "nat64-svc/core/refusal.hpp"
#include "nat64-svc/core/runtime.hpp"

namespace isthmus::nat64 {

// Of the packet that is answered: RFC 4443 §2.4 (c).
inline constexpr std::size_t kQuote6 = 1280 - kIpv6Header - kIcmpHeader;

// What RFC 4443 §2.4 (e) and RFC 1122 §3.2.2 forbid to answer: ICMP errors, multicast and broadcast, sources
// that are no single host, later fragments. Total over any bytes.
[[nodiscard]] bool may_answer_ipv6(std::span<const std::uint8_t> packet, IcmpError error);
[[nodiscard]] bool may_answer_ipv4(std::span<const std::uint8_t> packet);

// `packet` holds at least an IP header. False: the frame lacks room.
[[nodiscard]] bool make_reply_ipv6(PacketBuffer& buffer, IcmpError error, const Runtime& runtime);
[[nodiscard]] bool make_reply_ipv4(PacketBuffer& buffer, IcmpError error, const Runtime& runtime,
                                   std::uint16_t identification);

// A token bucket with a tenth of a second's worth of burst, at least ten.
class RateLimit {
 public:
  [[nodiscard]] bool take(TimePoint now, std::uint32_t per_second) {
    const std::int64_t burst = std::max<std::int64_t>(10, per_second / 10) * kToken;
    const std::int64_t elapsed = std::clamp<std::int64_t>((now - last_).count(), 0, kToken);
    last_ = now;
    tokens_ = started_ ? std::min(burst, tokens_ + elapsed * per_second) : burst;
    started_ = true;
    if (per_second == 0 || tokens_ < kToken) return false;
    tokens_ -= kToken;
    return true;
  }

 private:
  static constexpr std::int64_t kToken = 1'000'000'000;  // nanoseconds times packets per second
  std::int64_t tokens_ = 0;
  TimePoint last_;
  bool started_ = false;
};

}  // namespace isthmus::nat64
