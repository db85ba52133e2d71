// SPDX-License-Identifier: Apache-2.0
// Why a lookup gave nothing.
#pragma once

#include <cstdint>

#include "common/base/enum_names.hpp"

namespace isthmus::dns64 {

enum class ResolveFailure : std::uint8_t {
  kTimeout,   // no answer in time
  kServFail,  // the resolver gave up
  kRefused,   // upstream refused
  kBusy,      // not asked: our own limits, which say nothing of the name or its servers
  kInternal,  // the answer could not be read
  kCount
};
inline constexpr EnumNames<ResolveFailure> kResolveFailureNames{
    {"timeout", "servfail", "refused", "busy", "internal"}};

}  // namespace isthmus::dns64
