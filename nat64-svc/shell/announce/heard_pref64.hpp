// SPDX-License-Identifier: Apache-2.0
// PREF64 options in router advertisements (RFC 8781): what routers tell clients to translate with. Bytes and
// `now` in, values out.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "common/base/clock.hpp"
#include "common/config/policy.hpp"
#include "common/net/ipv6_address.hpp"
#include "common/rfc6052/pref64.hpp"

namespace isthmus::nat64 {

struct Pref64Option {
  Pref64 prefix;
  std::chrono::seconds lifetime;  // zero: no longer to be used (§4)
};

// Of an ICMPv6 message, its header included. Nothing if it is no router advertisement or is malformed (RFC
// 4861 §6.1.2); options that are not PREF64, or not one of its six lengths, are passed over, as §5 asks.
[[nodiscard]] std::optional<std::vector<Pref64Option>> parse_router_advertisement(
    std::span<const std::uint8_t> message);

// What is announced now, by whom. Bounded: on a hostile link the entries that end first give way.
class HeardPref64s {
 public:
  static constexpr std::size_t kMaxEntries = 16;
  struct Entry {
    Ipv6Address router;
    Pref64 prefix;
    auto operator<=>(const Entry&) const = default;
  };

  // True if the entry is new.
  bool hear(const Ipv6Address& router, const Pref64Option& option, TimePoint now);
  [[nodiscard]] std::vector<Entry> at(TimePoint now) const;

 private:
  std::map<Entry, TimePoint> until_;
};

// Is it a prefix of the policy, or one that the controller gives to a gateway out of a parent?
[[nodiscard]] bool is_ours(const Pref64& prefix, const Policy& policy);

}  // namespace isthmus::nat64
