// SPDX-License-Identifier: Apache-2.0
// What an operator must be able to answer months later: who had which address and ports when. The worker
// drains these and writes them down; records that find the queue full are lost and counted
// (Event::kRecordsLost).
#pragma once

#include <cstdint>

#include "common/base/clock.hpp"
#include "common/base/enum_names.hpp"
#include "common/config/policy.hpp"
#include "common/net/prefix.hpp"
#include "nat64-svc/core/drop_reason.hpp"

namespace isthmus::nat64 {

enum class RecordKind : std::uint8_t {
  kBlockTaken,
  kBlockFreed,
  kStaticUsed,   // a static mapping has its first session
  kStaticFreed,  // and none any more
  kLimitReached,
  kCount
};
inline constexpr EnumNames<RecordKind> kRecordKindNames{
    {"block_taken", "block_freed", "static_used", "static_freed", "limit_reached"}};

struct EventRecord {
  RecordKind kind = RecordKind::kBlockTaken;
  TimePoint at;
  Ipv6Prefix subscriber;         // its prefix; /128 for a static mapping's client
  Ipv4Address public4;           // not for kLimitReached
  std::uint16_t first_port = 0;  // block, or the one port of a static mapping
  std::uint16_t last_port = 0;
  Protocol protocol = Protocol::kTcp;            // of a static mapping: a block serves all
  DropReason limit = DropReason::kUnclassified;  // kLimitReached only
};

}  // namespace isthmus::nat64
