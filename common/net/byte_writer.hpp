// SPDX-License-Identifier: Apache-2.0
// Writing into a fixed buffer with a sticky error: a write that does not fit changes nothing and ok() is
// false for ever.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>

#include "common/net/big_endian.hpp"

namespace isthmus {

class ByteWriter {
 public:
  explicit ByteWriter(std::span<std::uint8_t> buffer) : buffer_(buffer) {}

  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::size_t room() const { return buffer_.size() - size_; }
  [[nodiscard]] std::span<std::uint8_t> written() const { return buffer_.first(size_); }

  void u8(std::uint8_t v) {
    if (auto* p = take(1)) *p = v;
  }
  void u16(std::uint16_t v) {
    if (auto* p = take(2)) store_be16(p, v);
  }
  void u32(std::uint32_t v) {
    if (auto* p = take(4)) store_be32(p, v);
  }
  void bytes(std::span<const std::uint8_t> v) {
    if (v.empty()) return;
    if (auto* p = take(v.size())) std::memcpy(p, v.data(), v.size());
  }
  // Overwrites two bytes written before; out of range is an error like any other.
  void patch_u16(std::size_t at, std::uint16_t v) {
    if (at + 2 > size_)
      ok_ = false;
    else
      store_be16(&buffer_[at], v);
  }
  // Takes back what was written after `size`; used to drop a record that did not fit whole. Clears the error.
  void rewind(std::size_t size) {
    if (size <= size_) {
      size_ = size;
      ok_ = true;
    }
  }

 private:
  std::uint8_t* take(std::size_t n) {
    if (!ok_ || n > room()) {
      ok_ = false;
      return nullptr;
    }
    size_ += n;
    return buffer_.data() + (size_ - n);
  }
  std::span<std::uint8_t> buffer_;
  std::size_t size_ = 0;
  bool ok_ = true;
};

}  // namespace isthmus
