// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/core/wire/message_writer.hpp"

#include "dns64-svc/core/wire/rdata.hpp"

namespace isthmus::dns64 {
namespace {

constexpr std::size_t kPointerLimit = 0x4000;  // RFC 1035 §4.1.4: 14 bits of offset

// Does the name at `at` of `message` (well-formed: we wrote it) equal `name`?
bool stored_equals(std::span<const std::uint8_t> message, std::size_t at, NameView name) {
  for (;;) {
    while (message[at] >= 0xc0) at = load_be16(&message[at]) & 0x3fffU;
    const std::size_t length = message[at];
    if (length != name[0]) return false;
    if (length == 0) return true;
    if (!equal_names(message.subspan(at + 1, length), name.subspan(1, length))) return false;
    at += length + 1;
    name = parent_of(name);
  }
}

// Length of the name that begins `rdata`, 0 when there is none.
std::size_t name_length(std::span<const std::uint8_t> rdata) {
  std::size_t at = 0;
  while (at < rdata.size()) {
    const std::size_t length = rdata[at];
    if (length > 63) return 0;
    at += length + 1;
    if (length == 0) return at <= kMaxNameSize ? at : 0;
  }
  return 0;
}

}  // namespace

MessageWriter::MessageWriter(std::span<std::uint8_t> buffer) : out_(buffer) {
  constexpr std::array<std::uint8_t, kHeaderSize> kEmptyHeader{};
  out_.bytes(kEmptyHeader);
}

// Every label of `full` that was written at `at` itself, not behind a pointer to its last `pointed` bytes.
void MessageWriter::remember(NameView full, std::size_t pointed, std::size_t at) {
  for (; full.size() > pointed && full[0] != 0 && target_count_ < kMaxTargets && at < kPointerLimit;
       full = parent_of(full)) {
    targets_[target_count_++] = static_cast<std::uint16_t>(at);
    at += full[0] + 1U;
  }
}

void MessageWriter::name(NameView full, bool compress) {
  const std::size_t start = out_.size();
  NameView rest = full;
  const std::size_t target = compress ? find_target(rest) : 0;
  const std::size_t pointed = target != 0 ? rest.size() : 0;
  out_.bytes(full.first(full.size() - pointed));
  if (target != 0) out_.u16(static_cast<std::uint16_t>(0xc000 | target));
  if (compress && !frozen_ && out_.ok()) remember(full, pointed, start);
}

// The longest suffix of `rest` that was written before; `rest` becomes that suffix. 0: none.
std::size_t MessageWriter::find_target(NameView& rest) const {
  for (; rest[0] != 0; rest = parent_of(rest))
    for (std::size_t i = 0; i < target_count_; ++i)
      if (stored_equals(out_.written(), targets_[i], rest)) return targets_[i];
  return 0;
}

void MessageWriter::question(NameView full, std::uint16_t type, std::uint16_t klass) {
  name(full, true);
  out_.u16(type);
  out_.u16(klass);
  ++questions_;
}

bool MessageWriter::rdata(std::uint16_t type, std::span<const std::uint8_t> data) {
  const auto layout = rdata_layout(type);
  if (layout.names == 0 || !layout.compressible) {
    out_.bytes(data);
    return true;
  }
  if (data.size() < layout.fixed) return false;
  out_.bytes(data.first(layout.fixed));
  data = data.subspan(layout.fixed);
  for (unsigned i = 0; i < layout.names; ++i) {
    const auto length = name_length(data);
    if (length == 0) return false;
    name(data.first(length), true);
    data = data.subspan(length);
  }
  out_.bytes(data);
  return true;
}

bool MessageWriter::record(Section section, NameView owner, std::uint16_t type, std::uint16_t klass,
                           std::uint32_t ttl, std::span<const std::uint8_t> data) {
  const std::size_t start = out_.size();
  const std::size_t targets = target_count_;
  name(owner, true);
  out_.u16(type);
  out_.u16(klass);
  out_.u32(ttl);
  const std::size_t length_at = out_.size();
  out_.u16(0);
  const bool well_formed = out_.ok() && rdata(type, data);
  if (well_formed && out_.ok()) {
    const std::size_t length = out_.size() - length_at - 2;
    if (length <= 0xffff) {
      out_.patch_u16(length_at, static_cast<std::uint16_t>(length));
      ++counts_[static_cast<std::size_t>(section)];
      return true;
    }
  }
  out_.rewind(start);
  target_count_ = targets;
  return false;
}

std::size_t MessageWriter::finish(std::uint16_t id, std::uint16_t flags) {
  out_.patch_u16(0, id);
  out_.patch_u16(2, flags);
  out_.patch_u16(4, questions_);
  out_.patch_u16(6, counts_[0]);
  out_.patch_u16(8, counts_[1]);
  out_.patch_u16(10, counts_[2]);
  return out_.size();
}

}  // namespace isthmus::dns64
