// SPDX-License-Identifier: Apache-2.0
// A bounds-checked cursor with a sticky error: after the first read past the end every read returns zero and
// ok() is false, so a parser reads a whole header and asks once.
#pragma once

#include <cstdint>
#include <span>

#include "common/net/big_endian.hpp"

namespace isthmus {

class ByteReader {
 public:
  explicit ByteReader(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}

  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] std::size_t position() const { return position_; }
  [[nodiscard]] std::size_t remaining() const { return bytes_.size() - position_; }
  [[nodiscard]] std::span<const std::uint8_t> bytes() const { return bytes_; }

  std::uint8_t u8() { return take(1) ? bytes_[position_ - 1] : std::uint8_t{0}; }
  std::uint16_t u16() { return take(2) ? load_be16(&bytes_[position_ - 2]) : std::uint16_t{0}; }
  std::uint32_t u32() { return take(4) ? load_be32(&bytes_[position_ - 4]) : 0U; }
  void skip(std::size_t n) { take(n); }
  [[nodiscard]] std::span<const std::uint8_t> span(std::size_t n) {
    return take(n) ? bytes_.subspan(position_ - n, n) : std::span<const std::uint8_t>{};
  }
  void seek(std::size_t position) {
    if (position > bytes_.size())
      ok_ = false;
    else if (ok_)
      position_ = position;
  }

 private:
  bool take(std::size_t n) {
    if (!ok_ || n > remaining()) {
      ok_ = false;
      return false;
    }
    position_ += n;
    return true;
  }
  std::span<const std::uint8_t> bytes_;
  std::size_t position_ = 0;
  bool ok_ = true;
};

}  // namespace isthmus
