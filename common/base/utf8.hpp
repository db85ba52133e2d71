// SPDX-License-Identifier: Apache-2.0
// Text from outside that is to be kept or passed on: protobuf refuses a whole message for one `string` that
// is not UTF-8, and cutting at a byte makes such.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace isthmus {

// Bytes of the character at the begin of `text`; 0: what stands there is not UTF-8 (RFC 3629: nothing longer
// than needed, no surrogates, nothing beyond U+10FFFF).
[[nodiscard]] constexpr std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  if (text.empty()) return 0;
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if (byte(i) < 0x80 || byte(i) > 0xbf) return 0;
  }
  const bool narrow = (first == 0xe0 && byte(1) < 0xa0) || (first == 0xf0 && byte(1) < 0x90);
  const bool surrogate = first == 0xed && byte(1) > 0x9f;
  const bool beyond = first == 0xf4 && byte(1) > 0x8f;
  return narrow || surrogate || beyond ? 0 : length;
}

// As much of `text` as fits in `limit` bytes, ending with a whole character; each byte that belongs to none
// becomes U+FFFD.
[[nodiscard]] inline std::string utf8_within(std::string_view text, std::size_t limit) {
  constexpr std::string_view kReplacement = "\xef\xbf\xbd";
  std::string out;
  while (!text.empty()) {
    const auto length = utf8_length(text);
    const auto next = length == 0 ? kReplacement : text.substr(0, length);
    if (out.size() + next.size() > limit) break;
    out += next;
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return out;
}

}  // namespace isthmus
