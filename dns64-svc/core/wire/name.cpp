// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/core/wire/name.hpp"

#include <algorithm>

#include "common/net/big_endian.hpp"

namespace isthmus::dns64 {
namespace {

constexpr std::uint8_t kMaxLabel = 63;

constexpr std::uint8_t fold_byte(std::uint8_t c) {
  return c >= 'A' && c <= 'Z' ? static_cast<std::uint8_t>(c | 0x20) : c;
}

// One character of presentation form; `at` moves behind it. Nothing when an escape is broken.
std::optional<std::uint8_t> read_character(std::string_view text, std::size_t& at) {
  if (text[at] != '\\') return static_cast<std::uint8_t>(text[at++]);
  if (++at >= text.size()) return std::nullopt;
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  if (!digit(text[at])) return static_cast<std::uint8_t>(text[at++]);
  if (at + 3 > text.size() || !digit(text[at + 1]) || !digit(text[at + 2])) return std::nullopt;
  const int value = (text[at] - '0') * 100 + (text[at + 1] - '0') * 10 + (text[at + 2] - '0');
  at += 3;
  if (value > 255) return std::nullopt;
  return static_cast<std::uint8_t>(value);
}

}  // namespace

std::optional<Name> Name::parse(std::string_view text) {
  Name name;
  if (text == ".") return name;
  if (text.empty()) return std::nullopt;
  std::array<std::uint8_t, kMaxLabel> label;
  std::size_t size = 0;
  for (std::size_t at = 0; at < text.size();) {
    if (text[at] == '.') {
      if (size == 0 || !name.append_label({label.data(), size})) return std::nullopt;
      size = 0;
      ++at;
      continue;
    }
    const auto character = read_character(text, at);
    if (!character || size == kMaxLabel) return std::nullopt;
    label[size++] = *character;
  }
  if (size != 0 && !name.append_label({label.data(), size})) return std::nullopt;
  return name;
}

std::optional<Name> Name::from_wire(std::span<const std::uint8_t> bytes) {
  if (bytes.empty() || bytes.size() > kMaxNameSize) return std::nullopt;
  std::size_t at = 0;
  while (at < bytes.size() && bytes[at] != 0) {
    if (bytes[at] > kMaxLabel) return std::nullopt;
    at += bytes[at] + 1U;
  }
  if (at + 1 != bytes.size()) return std::nullopt;
  return Name{bytes};
}

Result<Name, WireError> Name::read(std::span<const std::uint8_t> message, std::size_t& position) {
  Name name;
  std::size_t size = 0;
  std::size_t at = position;
  std::size_t lowest = position;  // pointers must lead below every place read so far: this ends loops
  bool jumped = false;
  for (;;) {
    if (at >= message.size()) return failure(WireError::kTruncated);
    const std::uint8_t length = message[at];
    if (length <= kMaxLabel) {
      if (at + 1 + length > message.size()) return failure(WireError::kTruncated);
      if (size + length + 1 > kMaxNameSize) return failure(WireError::kNameTooLong);
      std::memcpy(&name.bytes_[size], &message[at], length + 1U);
      size += length + 1U;
      at += length + 1U;
      if (!jumped) position = at;
      if (length == 0) break;
    } else if (length >= 0xc0) {
      if (at + 2 > message.size()) return failure(WireError::kTruncated);
      const std::size_t target = load_be16(&message[at]) & 0x3fffU;
      if (!jumped) position = at + 2;
      jumped = true;
      if (target >= lowest) return failure(WireError::kBadPointer);
      lowest = at = target;
    } else {
      return failure(WireError::kBadLabel);  // RFC 6891 §5: the types 01 and 10 are dead
    }
  }
  name.size_ = static_cast<std::uint8_t>(size);
  return name;
}

NameView plain_name(std::span<const std::uint8_t> bytes) {
  std::size_t at = 0;
  while (at < bytes.size() && bytes[at] != 0 && bytes[at] <= kMaxLabel) at += bytes[at] + 1U;
  const bool whole = at < bytes.size() && bytes[at] == 0 && at < kMaxNameSize;
  return whole ? bytes.first(at + 1) : NameView{};
}

void Name::assign_folded(NameView valid) {
  size_ = static_cast<std::uint8_t>(valid.size());
  fold_case(valid, bytes_.data());
}

void Name::fold() {
  fold_case(view(), bytes_.data());
}

bool Name::append_label(std::span<const std::uint8_t> label) {
  if (label.empty() || label.size() > kMaxLabel || size_ + label.size() + 1 > kMaxNameSize) return false;
  const std::size_t at = size_ - 1U;
  bytes_[at] = static_cast<std::uint8_t>(label.size());
  std::memcpy(&bytes_[at + 1], label.data(), label.size());
  size_ = static_cast<std::uint8_t>(size_ + label.size() + 1);
  bytes_[size_ - 1U] = 0;
  return true;
}

std::string Name::to_string() const {
  return name_to_string(view());
}

void fold_case(std::span<const std::uint8_t> bytes, std::uint8_t* out) {
  for (std::size_t i = 0; i < bytes.size(); ++i) out[i] = fold_byte(bytes[i]);
}

bool equal_names(NameView a, NameView b) {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(),
                    [](std::uint8_t x, std::uint8_t y) { return fold_byte(x) == fold_byte(y); });
}

bool is_at_or_below(NameView name, NameView ancestor) {
  while (name.size() > ancestor.size()) name = parent_of(name);
  return equal_names(name, ancestor);
}

NameView parent_of(NameView name) {
  return name[0] == 0 ? name : name.subspan(name[0] + 1U);
}

unsigned label_count(NameView name) {
  unsigned count = 0;
  for (; name[0] != 0; name = parent_of(name)) ++count;
  return count;
}

std::string name_to_string(NameView name) {
  if (name[0] == 0) return ".";
  std::string text;
  text.reserve(name.size() + 4);
  for (std::size_t at = 0; name[at] != 0;) {
    const std::size_t end = at + 1U + name[at];
    for (++at; at < end; ++at) {
      const auto c = name[at];
      if (c <= ' ' || c >= 127) {
        text += {'\\', static_cast<char>('0' + c / 100), static_cast<char>('0' + c / 10 % 10),
                 static_cast<char>('0' + c % 10)};
        continue;
      }
      if (c == '.' || c == '\\' || c == '"' || c == ';' || c == '(' || c == ')' || c == '@' || c == '$')
        text += '\\';
      text += static_cast<char>(c);
    }
    text += '.';
  }
  return text;
}

}  // namespace isthmus::dns64
