// SPDX-License-Identifier: Apache-2.0
// Where packets to a destination leave, remembered from one packet to the next: to ask the network view costs
// some hash tables per packet, and most packets go where others went a moment ago. What was learned from an
// older view is not found.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "common/net/big_endian.hpp"
#include "common/net/keyed_hash.hpp"
#include "nat64-svc/shell/netlink/mac_address.hpp"

namespace isthmus::nat64 {

struct Way {
  std::size_t port = 0;  // of the worker
  std::uint32_t mtu = 0;
  MacAddress to;
  MacAddress from;
  std::uint16_t vlan = 0;  // of the tag that its frames bear; 0: none
};

class Ways {
 public:
  explicit Ways(HashKey key) : key_(key) {}

  // A packet's destination; `packet` holds whole IP headers.
  struct Destination {
    std::uint64_t high = 0, low = 0;  // IPv4: all in the low word
    bool six = false;                 // ::8.8.8.8 is not 8.8.8.8
    bool operator==(const Destination&) const = default;
  };
  [[nodiscard]] static Destination destination_of(std::span<const std::uint8_t> packet) {
    if (packet.size() >= 40 && packet[0] >> 4 == 6)
      return {load_be64(&packet[24]), load_be64(&packet[32]), true};
    if (packet.size() >= 20) return {0, load_be32(&packet[16]), false};
    return {};
  }

  // `view`: the generation of the network view of now; never 0. Null: not known.
  [[nodiscard]] const Way* find(const Destination& destination, std::uint64_t view) const {
    const Entry& entry = entries_[place(destination)];
    return entry.view == view && entry.destination == destination ? &entry.way : nullptr;
  }
  void remember(const Destination& destination, std::uint64_t view, const Way& way) {
    entries_[place(destination)] = {destination, view, way};
  }

 private:
  struct alignas(64) Entry {
    Destination destination;
    std::uint64_t view = 0;
    Way way;
  };
  static constexpr std::size_t kEntries = 1024;
  [[nodiscard]] std::size_t place(const Destination& d) const {
    return mix(d.high ^ key_.k0, d.low ^ key_.k1) % kEntries;
  }
  HashKey key_;
  std::array<Entry, kEntries> entries_{};
};

}  // namespace isthmus::nat64
