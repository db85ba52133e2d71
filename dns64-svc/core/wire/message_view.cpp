// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/core/wire/message_view.hpp"

#include "common/net/big_endian.hpp"

namespace isthmus::dns64 {

std::optional<Header> read_header(std::span<const std::uint8_t> message) {
  if (message.size() < kHeaderSize) return std::nullopt;
  const auto* p = message.data();
  return Header{load_be16(p),     load_be16(p + 2), load_be16(p + 4),
                load_be16(p + 6), load_be16(p + 8), load_be16(p + 10)};
}

std::optional<WireError> skip_name(std::span<const std::uint8_t> message, std::size_t& position) {
  std::size_t at = position;
  for (;;) {
    if (at >= message.size()) return WireError::kTruncated;
    const std::uint8_t length = message[at];
    if (length == 0) {
      position = at + 1;
      return std::nullopt;
    }
    if (length >= 0xc0) {
      if (at + 2 > message.size()) return WireError::kTruncated;
      if ((load_be16(&message[at]) & 0x3fffU) >= position) return WireError::kBadPointer;
      position = at + 2;
      return std::nullopt;
    }
    if (length > 63) return WireError::kBadLabel;
    at += length + 1U;
    if (at - position > kMaxNameSize) return WireError::kNameTooLong;
  }
}

Result<MessageView, WireError> MessageView::parse(std::span<const std::uint8_t> message) {
  MessageView view;
  const auto header = read_header(message);
  if (!header) return failure(WireError::kTruncated);
  if (header->questions != 1) return failure(WireError::kQuestionCount);
  view.bytes_ = message;
  view.header_ = *header;
  std::size_t at = kHeaderSize;
  auto name = Name::read(message, at);
  if (!name) return failure(name.error());
  if (at + 4 > message.size()) return failure(WireError::kTruncated);
  view.name_ = *name;
  view.type_ = load_be16(&message[at]);
  view.klass_ = load_be16(&message[at + 2]);
  view.question_end_ = at + 4;
  return view;
}

MessageView::Cursor::Cursor(std::span<const std::uint8_t> bytes, std::size_t position, const Header& header)
    : bytes_(bytes), position_(position), left_{header.answers, header.authorities, header.additionals} {}

std::optional<RecordView> MessageView::Cursor::next() {
  if (error_) return std::nullopt;
  std::size_t section = 0;
  while (section < 3 && left_[section] == 0) ++section;
  if (section == 3) return std::nullopt;
  --left_[section];
  RecordView record;
  record.section = static_cast<Section>(section);
  record.owner_at = position_;
  std::size_t at = position_;
  error_ = skip_name(bytes_, at);
  if (error_) return std::nullopt;
  if (bytes_.size() - at < 10) {
    error_ = WireError::kTruncated;
    return std::nullopt;
  }
  record.type = load_be16(&bytes_[at]);
  record.klass = load_be16(&bytes_[at + 2]);
  record.ttl = load_be32(&bytes_[at + 4]);
  const std::size_t length = load_be16(&bytes_[at + 8]);
  at += 10;
  if (bytes_.size() - at < length) {
    error_ = WireError::kTruncated;
    return std::nullopt;
  }
  record.rdata_at = at;
  record.rdata = bytes_.subspan(at, length);
  position_ = at + length;
  return record;
}

}  // namespace isthmus::dns64
