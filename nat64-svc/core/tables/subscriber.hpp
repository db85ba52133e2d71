// SPDX-License-Identifier: Apache-2.0
// Who the limits are for: the hosts of one prefix (policy: subscribers.prefix_length), with what they use.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "common/base/clock.hpp"
#include "common/net/ipv6_address.hpp"
#include "nat64-svc/core/tables/flat_index.hpp"

namespace isthmus::nat64 {

struct Subscriber {
  Ipv6Address prefix;
  std::uint32_t sessions = 0;
  std::uint32_t bibs = 0;
  std::uint32_t first_block = kNone;
  std::uint32_t blocks = 0;
  TimePoint paid_until{};         // by the sessions it opened: a token bucket told by its empty end
  std::uint32_t address = kNone;  // where it gets its blocks first
  bool is_live = false;

  // RFC 6888 REQ-5 C: `per_second` new sessions, and as many at once after a quiet second; 0: no limit.
  [[nodiscard]] bool may_open(TimePoint now, std::uint32_t per_second) const {
    return per_second == 0 || paid_until + price(per_second) <= now + std::chrono::seconds{1};
  }
  void opened(TimePoint now, std::uint32_t per_second) {
    if (per_second != 0) paid_until = std::max(paid_until, now) + price(per_second);
  }

  [[nodiscard]] bool live() const { return is_live; }
  void set_live(bool on) { is_live = on; }
  [[nodiscard]] std::uint32_t next_free() const { return first_block; }
  void set_next_free(std::uint32_t n) { first_block = n; }

 private:
  [[nodiscard]] static Duration price(std::uint32_t per_second) {
    return Duration{std::chrono::seconds{1}} / per_second;
  }
};
static_assert(sizeof(Subscriber) <= 48);

}  // namespace isthmus::nat64
