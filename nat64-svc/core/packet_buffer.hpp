// SPDX-License-Identifier: Apache-2.0
// One packet (layer 3, no link header) inside a frame that has room before and behind it, so that translation
// can grow and shrink the header in place. The frame belongs to the caller; the core never keeps a pointer
// into it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace isthmus::nat64 {

class PacketBuffer {
 public:
  PacketBuffer() = default;
  // `frame` is all that may be written; the packet is frame[offset, offset + length).
  PacketBuffer(std::span<std::uint8_t> frame, std::size_t offset, std::size_t length)
      : frame_(frame),
        offset_(offset <= frame.size() ? offset : frame.size()),
        length_(length <= frame.size() - offset_ ? length : frame.size() - offset_) {}

  [[nodiscard]] std::span<std::uint8_t> packet() const { return frame_.subspan(offset_, length_); }
  [[nodiscard]] std::size_t offset() const { return offset_; }
  [[nodiscard]] std::size_t length() const { return length_; }
  [[nodiscard]] std::size_t headroom() const { return offset_; }
  [[nodiscard]] std::size_t tailroom() const { return frame_.size() - offset_ - length_; }

  // Moves the front: the packet grows by `n` bytes (contents undefined). False when there is no room.
  [[nodiscard]] bool grow_front(std::size_t n) {
    if (n > offset_) return false;
    offset_ -= n;
    length_ += n;
    return true;
  }
  [[nodiscard]] bool shrink_front(std::size_t n) {
    if (n > length_) return false;
    offset_ += n;
    length_ -= n;
    return true;
  }
  [[nodiscard]] bool resize(std::size_t length) {
    if (length > frame_.size() - offset_) return false;
    length_ = length;
    return true;
  }

 private:
  std::span<std::uint8_t> frame_;
  std::size_t offset_ = 0;
  std::size_t length_ = 0;
};

// Room that shells keep before the packet beside the link header: 4->6 adds at most 28 bytes (IPv6 + fragment
// header).
inline constexpr std::size_t kTranslationHeadroom = 64;

}  // namespace isthmus::nat64
