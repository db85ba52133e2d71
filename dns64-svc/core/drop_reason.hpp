// SPDX-License-Identifier: Apache-2.0
// Why a request gets no reply at all.
#pragma once

#include <cstdint>

#include "common/base/enum_names.hpp"

namespace isthmus::dns64 {

enum class DropReason : std::uint8_t {
  kTooShort,             // fewer bytes than a header: there is nothing to answer to
  kNotAQuery,            // QR is set: answering answers makes loops
  kRateLimited,          // per-client rate limit
  kResponseRateLimited,  // response rate limiting (UDP only)
  kNoRoom,               // the reply buffer cannot hold a header and the question
  kNotReady,             // no policy runs yet
  kCount
};
inline constexpr EnumNames<DropReason> kDropReasonNames{
    {"too_short", "not_a_query", "rate_limited", "response_rate_limited", "no_room", "not_ready"}};

}  // namespace isthmus::dns64
