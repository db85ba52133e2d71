// SPDX-License-Identifier: Apache-2.0
// Numbers and records of a message as text for people: explain, cache dumps, the query log. Not for hot
// paths.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace isthmus::dns64 {

[[nodiscard]] std::string type_name(std::uint16_t type);  // "AAAA"; unknown ones "TYPE123" (RFC 3597 §5)
[[nodiscard]] std::optional<std::uint16_t> type_of(std::string_view name);  // either form, any case
[[nodiscard]] std::string rcode_name(std::uint16_t rcode);
// The records of a message's answer section: "NAME TTL IN TYPE DATA". Types that are not known, or data that
// is not what its type promises, as \# (RFC 3597 §5). A message that cannot be read gives those before the
// fault.
[[nodiscard]] std::vector<std::string> answer_lines(std::span<const std::uint8_t> message);

}  // namespace isthmus::dns64
