// SPDX-License-Identifier: Apache-2.0
// Values of the core <-> records of the store. Times: the core counts the boot clock, a record the wall
// clock; `Clocks` is one moment on both.
#pragma once

#include "common/base/clock.hpp"
#include "controller/core/control_plane.hpp"
#include "controller/store/store.hpp"
#include "isthmus/v1/store.pb.h"

namespace isthmus::controller {

inline constexpr std::size_t kMaxNote = 1000;  // bytes of an author or a comment

struct Clocks {
  TimePoint boot;
  WallTime wall;

  [[nodiscard]] std::int64_t wall_ms(TimePoint time) const;
  [[nodiscard]] TimePoint boot_time(std::int64_t wall_ms) const;
};

// A record is needed only of an address that somebody held.
[[nodiscard]] inline bool worth_storing(const Lease& lease) {
  return lease.held() || !lease.holder.node_id.empty();
}
[[nodiscard]] v1::LeaseRecord to_record(const Lease& lease, const Clocks& clocks);
[[nodiscard]] Result<Lease, StoreError> from_record(const v1::LeaseRecord& record, const Clocks& clocks);

[[nodiscard]] v1::NodeRecord to_record(const Holder& holder, const KnownNode& node);
[[nodiscard]] v1::DrainRecord to_record(const Drain& drain, const Clocks& clocks);
[[nodiscard]] Result<Drain, StoreError> from_record(const v1::DrainRecord& record, const Clocks& clocks);
[[nodiscard]] Holder holder_from(const v1::StoredHolder& holder);

}  // namespace isthmus::controller
