// SPDX-License-Identifier: Apache-2.0
// Building a DNS message into a caller's buffer: name compression (RFC 1035 §4.1.4), sections in order, and a
// size limit that leaves whole records out instead of cutting one.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "common/net/byte_writer.hpp"
#include "dns64-svc/core/wire/message_view.hpp"
#include "dns64-svc/core/wire/name.hpp"

namespace isthmus::dns64 {

class MessageWriter {
 public:
  // The header's room is taken at once. `buffer` is at least 12 bytes; its size is the limit.
  explicit MessageWriter(std::span<std::uint8_t> buffer);

  void question(NameView name, std::uint16_t type, std::uint16_t klass);
  // Adds a record whole or not at all (then false, and nothing was written). `rdata` holds names
  // uncompressed; they are compressed again where RFC 3597 §4 allows. Sections must come in order.
  [[nodiscard]] bool record(Section section, NameView owner, std::uint16_t type, std::uint16_t klass,
                            std::uint32_t ttl, std::span<const std::uint8_t> rdata);
  // From here on names are no longer remembered as targets of pointers (earlier ones still serve).
  void freeze_targets() { frozen_ = true; }

  [[nodiscard]] std::size_t size() const { return out_.size(); }
  [[nodiscard]] std::uint16_t count(Section section) const {
    return counts_[static_cast<std::size_t>(section)];
  }
  [[nodiscard]] std::span<std::uint8_t> written() const { return out_.written(); }
  // Writes the header and gives the size of the message.
  std::size_t finish(std::uint16_t id, std::uint16_t flags);

 private:
  void name(NameView name, bool compress);
  [[nodiscard]] std::size_t find_target(NameView& rest) const;
  void remember(NameView full, std::size_t pointed, std::size_t at);
  [[nodiscard]] bool rdata(std::uint16_t type, std::span<const std::uint8_t> rdata);

  static constexpr std::size_t kMaxTargets = 64;
  ByteWriter out_;
  std::array<std::uint16_t, kMaxTargets> targets_;  // offsets of labels that pointers may lead to
  std::size_t target_count_ = 0;
  std::array<std::uint16_t, 3> counts_{};
  std::uint16_t questions_ = 0;
  bool frozen_ = false;
};

}  // namespace isthmus::dns64
