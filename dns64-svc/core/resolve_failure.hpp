// SPDX-License-Identifier: Apache-2.0
// Why a lookup gave nothing that can be used.
#pragma once

#include <cstdint>

#include "common/base/enum_names.hpp"

namespace isthmus::dns64 {

enum class ResolveFailure : std::uint8_t {
  kTimeout,   // no answer in time
  kServFail,  // the resolver gave up
  kRefused,   // upstream refused
  kBusy,      // not asked: our own limits, which say nothing of the name or its servers
  kBogus,     // the answer fails DNSSEC validation
  kInternal,  // it could not be asked, or its answer cannot be used
  kCount
};
inline constexpr EnumNames<ResolveFailure> kResolveFailureNames{
    {"timeout", "servfail", "refused", "busy", "bogus", "internal"}};

}  // namespace isthmus::dns64
