// SPDX-License-Identifier: Apache-2.0
// Reading a DNS message (RFC 1035 §4) without copying it. parse() checks the header and the one question;
// records are walked by a cursor that checks each as it comes. Offsets count from the start of the message.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "common/base/result.hpp"
#include "dns64-svc/core/wire/constants.hpp"
#include "dns64-svc/core/wire/name.hpp"
#include "dns64-svc/core/wire/wire_error.hpp"

namespace isthmus::dns64 {

struct Header {
  std::uint16_t id = 0;
  std::uint16_t flags = 0;
  std::uint16_t questions = 0;
  std::uint16_t answers = 0;
  std::uint16_t authorities = 0;
  std::uint16_t additionals = 0;
  [[nodiscard]] bool is_response() const { return (flags & flag::kQr) != 0; }
  [[nodiscard]] unsigned opcode() const { return (flags & flag::kOpcode) >> 11; }
  [[nodiscard]] std::uint16_t rcode() const { return flags & flag::kRcode; }
};

// Nothing when there are fewer than 12 bytes.
[[nodiscard]] std::optional<Header> read_header(std::span<const std::uint8_t> message);

enum class Section : std::uint8_t { kAnswer, kAuthority, kAdditional };

struct RecordView {
  Section section = Section::kAnswer;
  std::size_t owner_at = 0;  // of the (perhaps compressed) owner name, known to be readable
  std::uint16_t type = 0;
  std::uint16_t klass = 0;
  std::uint32_t ttl = 0;  // seconds, as on the wire; RFC 2181 §8: the reader caps it
  std::size_t rdata_at = 0;
  std::span<const std::uint8_t> rdata;
};

class MessageView {
 public:
  [[nodiscard]] static Result<MessageView, WireError> parse(std::span<const std::uint8_t> message);

  [[nodiscard]] const Header& header() const { return header_; }
  [[nodiscard]] const Name& question_name() const { return name_; }
  [[nodiscard]] std::uint16_t question_type() const { return type_; }
  [[nodiscard]] std::uint16_t question_class() const { return klass_; }
  [[nodiscard]] std::span<const std::uint8_t> bytes() const { return bytes_; }
  [[nodiscard]] std::size_t question_end() const { return question_end_; }

  // Records in wire order. After next() returned nothing, error() says whether that was the end.
  class Cursor {
   public:
    explicit Cursor(const MessageView& message)
        : Cursor(message.bytes_, message.question_end_, message.header_) {}
    // The records of a message whose header was read, from `position` on.
    Cursor(std::span<const std::uint8_t> bytes, std::size_t position, const Header& header);
    [[nodiscard]] std::optional<RecordView> next();
    [[nodiscard]] std::optional<WireError> error() const { return error_; }
    [[nodiscard]] std::size_t position() const { return position_; }

   private:
    std::span<const std::uint8_t> bytes_;
    std::size_t position_;
    std::uint16_t left_[3];
    std::optional<WireError> error_;
  };
  [[nodiscard]] Cursor records() const { return Cursor{*this}; }

 private:
  std::span<const std::uint8_t> bytes_;
  Header header_;
  Name name_;
  std::uint16_t type_ = 0;
  std::uint16_t klass_ = 0;
  std::size_t question_end_ = 0;
};

// Moves `position` behind the name there without copying it. Pointers are not followed but must lead back.
[[nodiscard]] std::optional<WireError> skip_name(std::span<const std::uint8_t> message,
                                                 std::size_t& position);

}  // namespace isthmus::dns64
