// SPDX-License-Identifier: Apache-2.0
// Domain names in uncompressed wire form (RFC 1035 §3.1): labels with their length byte, ended by the root
// label. A NameView is the bytes of one valid name; Name owns up to 255 of them without allocating.
//
// Case: names compare blind to ASCII case (RFC 4343). Length bytes are at most 63 and so never look like
// letters: a whole name can be folded byte by byte.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "common/base/result.hpp"
#include "dns64-svc/core/wire/constants.hpp"
#include "dns64-svc/core/wire/wire_error.hpp"

namespace isthmus::dns64 {

using NameView = std::span<const std::uint8_t>;

class Name {
 public:
  Name() { bytes_[0] = 0; }  // the root
  // Presentation form: "host.example.", the last dot optional, escapes \. and \DDD (RFC 1035 §5.1).
  [[nodiscard]] static std::optional<Name> parse(std::string_view text);
  // Bytes that are one whole valid uncompressed name, nothing after it.
  [[nodiscard]] static std::optional<Name> from_wire(std::span<const std::uint8_t> bytes);
  // The name at `position` of a message, pointers followed (only backwards, so they cannot loop). On success
  // `position` is just behind the name.
  [[nodiscard]] static Result<Name, WireError> read(std::span<const std::uint8_t> message,
                                                    std::size_t& position);
  // A view that is known to be a valid name.
  explicit Name(NameView valid) : size_(static_cast<std::uint8_t>(valid.size())) {
    std::memcpy(bytes_.data(), valid.data(), valid.size());
  }
  Name(const Name& other) : Name(other.view()) {}
  Name& operator=(const Name& other) {
    if (this != &other) {
      size_ = other.size_;
      std::memcpy(bytes_.data(), other.bytes_.data(), size_);
    }
    return *this;
  }

  [[nodiscard]] NameView view() const { return {bytes_.data(), size_}; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool is_root() const { return size_ == 1; }
  void fold();  // to lower case
  // A view that is known to be a valid name, as it is or in lower case.
  void assign(NameView valid) {
    size_ = static_cast<std::uint8_t>(valid.size());
    std::memcpy(bytes_.data(), valid.data(), valid.size());
  }
  void assign_folded(NameView valid);
  // Appends a label before the root label; false when label or name would be too long.
  [[nodiscard]] bool append_label(std::span<const std::uint8_t> label);
  [[nodiscard]] std::string to_string() const;

 private:
  std::array<std::uint8_t, kMaxNameSize> bytes_;
  std::uint8_t size_ = 1;
};

// The name at the begin of `bytes` if it is there whole and without a pointer, as that of a question is;
// else nothing.
[[nodiscard]] NameView plain_name(std::span<const std::uint8_t> bytes);
// Copies `bytes` with A-Z made a-z.
void fold_case(std::span<const std::uint8_t> bytes, std::uint8_t* out);
[[nodiscard]] bool equal_names(NameView a, NameView b);
// True when `name` is `ancestor` or lies below it.
[[nodiscard]] bool is_at_or_below(NameView name, NameView ancestor);
// The name without its first label; the root stays the root.
[[nodiscard]] NameView parent_of(NameView name);
[[nodiscard]] unsigned label_count(NameView name);  // the root has none
// Presentation form with escapes; safe to print and to hand to a parser.
[[nodiscard]] std::string name_to_string(NameView name);

}  // namespace isthmus::dns64
