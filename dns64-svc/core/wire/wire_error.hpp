// SPDX-License-Identifier: Apache-2.0
// Why bytes are not the DNS message they should be.
#pragma once

#include <cstdint>

#include "common/base/enum_names.hpp"

namespace isthmus::dns64 {

enum class WireError : std::uint8_t {
  kTruncated,         // ends inside a field
  kBadLabel,          // a label type that RFC 1035 does not define
  kBadPointer,        // a compression pointer that does not lead backwards
  kNameTooLong,       // more than 255 bytes
  kNotAResponse,      // QR is 0 where an answer is expected
  kQuestionCount,     // not exactly one question
  kQuestionMismatch,  // an answer to something else
  kBadOpt,            // OPT twice, elsewhere than in additional, or its options do not add up
  kBadRdata,          // RDATA does not have its type's form
  kTooManyRecords,
  kTooLarge,      // what must be kept does not fit a message
  kChainTooLong,  // CNAME/DNAME chain longer than we follow
  kCount
};
inline constexpr EnumNames<WireError> kWireErrorNames{
    {"truncated", "bad_label", "bad_pointer", "name_too_long", "not_a_response", "question_count",
     "question_mismatch", "bad_opt", "bad_rdata", "too_many_records", "too_large", "chain_too_long"}};

}  // namespace isthmus::dns64
