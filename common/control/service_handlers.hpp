// SPDX-License-Identifier: Apache-2.0
// The seam between a service and where its orders come from (the controller's stream, or a policy file when
// it runs alone). Both feeds call these handlers from one thread of their own, never two at once.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/result.hpp"
#include "common/config/allocation.hpp"
#include "common/config/policy.hpp"
#include "common/control/lease_clock.hpp"

namespace isthmus::v1 {
class Report;
}

namespace isthmus {

// Why this node does not run what it was sent. What ran before keeps running.
struct Rejection {
  enum class Kind { kInvalidConfig, kNodeCannot };
  Kind kind = Kind::kNodeCannot;
  std::vector<Violation> violations;
};

// Success means: every worker runs it now. It is what the ack says.
using Applied = Result<void, Rejection>;

struct ServiceHandlers {
  std::function<Applied(std::shared_ptr<const Policy>, Version)> on_policy;
  std::function<Applied(const Allocation&, Version)> on_allocation;  // NAT64; called after a first policy
  std::function<Applied(const HealthySet&, Version)> on_health;      // DNS64
  std::function<void(v1::Report&)> fill_report;           // called every few seconds; must not block
  std::function<std::vector<Ipv4Address>()> leases_held;  // NAT64: addresses still in use
  // NAT64, STOP leases: all deadlines, after each renewal that was answered and each allocation. A STOP lease
  // that is not listed may not be used. Whoever forwards compares them with its own clock: the next call may
  // never come.
  std::function<void(const std::vector<LeaseDeadline>&)> on_lease_deadlines;
};

// What a feed tells the service's own status page and metrics. Thread-safe snapshot.
struct FeedStatus {
  bool connected = false;  // a live stream to the controller; true for a policy file that was read
  Version policy_version;
  Version allocation_version;
  Version health_version;
  TimePoint last_heard;                          // anything from the controller
  std::uint64_t rejected_total = 0;              // nacks sent
  std::string last_error;                        // empty when all is well
  std::optional<TimePoint> earliest_lease_stop;  // of the STOP leases, when there are any
  std::optional<std::int64_t>
      certificate_expiry;  // our own certificate's end, Unix seconds; none: plain text
};

}  // namespace isthmus
