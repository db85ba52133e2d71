// SPDX-License-Identifier: Apache-2.0
// Pref64: a translation prefix of RFC 6052. It can only have one of the six lengths of §2.2, and when it is a
// /96 its bits 64-71 are zero as §2.2 demands; parse() and make() are the sole doors.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/net/prefix.hpp"

namespace isthmus {

class Pref64 {
 public:
  // The well-known prefix 64:ff9b::/96 (RFC 6052 §2.1).
  [[nodiscard]] static Pref64 well_known();
  [[nodiscard]] static std::optional<Pref64> make(const Ipv6Prefix& prefix);
  [[nodiscard]] static std::optional<Pref64> parse(std::string_view text);

  [[nodiscard]] const Ipv6Prefix& prefix() const { return prefix_; }
  [[nodiscard]] unsigned length() const { return prefix_.length(); }
  [[nodiscard]] bool contains(const Ipv6Address& a) const { return prefix_.contains(a); }
  [[nodiscard]] bool is_well_known() const { return *this == well_known(); }
  [[nodiscard]] std::string to_string() const { return prefix_.to_string(); }
  auto operator<=>(const Pref64&) const = default;

 private:
  explicit Pref64(const Ipv6Prefix& prefix) : prefix_(prefix) {}
  Ipv6Prefix prefix_;
};

}  // namespace isthmus
