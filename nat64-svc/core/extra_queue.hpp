// SPDX-License-Identifier: Apache-2.0
// Packets that the core makes beside a verdict, kept until the shell drains them. Bounded; one that does not
// fit is refused and counted by the caller.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "common/net/big_endian.hpp"
#include "nat64-svc/core/verdict.hpp"

namespace isthmus::nat64 {

class ExtraQueue {
 public:
  explicit ExtraQueue(std::size_t bytes) { bytes_.reserve(bytes); }

  [[nodiscard]] bool has_room(std::size_t bytes, std::size_t packets) const {
    return bytes_.size() + packets * kPrefix + bytes <= bytes_.capacity();
  }
  // Room for a packet of `length` bytes, to be filled by the caller; empty when there is none.
  [[nodiscard]] std::span<std::uint8_t> add(Side out, std::size_t length) {
    if (length > 65535 || bytes_.size() + kPrefix + length > bytes_.capacity()) return {};
    const std::size_t at = bytes_.size();
    bytes_.resize(at + kPrefix + length);
    bytes_[at] = static_cast<std::uint8_t>(out);
    store_be16(&bytes_[at + 1], static_cast<std::uint16_t>(length));
    return std::span{bytes_}.subspan(at + kPrefix, length);
  }
  [[nodiscard]] bool add(Side out, std::span<const std::uint8_t> packet) {
    const auto room = add(out, packet.size());
    if (room.empty()) return false;
    std::ranges::copy(packet, room.begin());
    return true;
  }
  template <class Send>
  void drain(Send&& send) {
    for (std::size_t at = 0; at < bytes_.size();) {
      const auto out = static_cast<Side>(bytes_[at]);
      const std::size_t length = load_be16(&bytes_[at + 1]);
      send(out, std::span<const std::uint8_t>{bytes_}.subspan(at + kPrefix, length));
      at += kPrefix + length;
    }
    bytes_.clear();
  }
  [[nodiscard]] bool empty() const { return bytes_.empty(); }

 private:
  static constexpr std::size_t kPrefix = 3;  // side, length
  std::vector<std::uint8_t> bytes_;
};

// Fragments that waited here and belong to another worker, with what is known of their packet.
class HandOverQueue {
 public:
  explicit HandOverQueue(std::size_t bytes) : packets_(bytes) {}

  [[nodiscard]] bool add(std::uint16_t owner, Side from, const FragmentNote& note,
                         std::span<const std::uint8_t> packet) {
    const auto room = packets_.add(from, kPrefix + packet.size());
    if (room.empty()) return false;
    store_be16(&room[0], owner);
    room[2] = note.has_ports ? 1 : 0;
    store_be16(&room[3], note.source_port);
    store_be16(&room[5], note.destination_port);
    store_be16(&room[7], note.length);
    std::ranges::copy(packet, room.begin() + kPrefix);
    return true;
  }
  // take(owner, from, note, span)
  template <class Take>
  void drain(Take&& take) {
    packets_.drain([&](Side from, std::span<const std::uint8_t> entry) {
      const FragmentNote note{entry[2] != 0, load_be16(&entry[3]), load_be16(&entry[5]),
                              load_be16(&entry[7])};
      take(load_be16(&entry[0]), from, note, entry.subspan(kPrefix));
    });
  }
  [[nodiscard]] bool empty() const { return packets_.empty(); }

 private:
  static constexpr std::size_t kPrefix = 9;
  ExtraQueue packets_;
};

}  // namespace isthmus::nat64
