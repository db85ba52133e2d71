// SPDX-License-Identifier: Apache-2.0
// When a node must stop using a STOP lease, as a pure object. The term runs on the node's own CLOCK_BOOTTIME
// from the moment the last renewal that was answered was *sent*: the controller heard it later, so the node
// always stops before the controller frees the address, however slow the network. At two thirds of the term
// no new mappings are made. A STOP lease whose renewal was never answered has no deadline and may not be
// used. HOLD leases have none and need none.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "common/config/allocation.hpp"

namespace isthmus {

struct LeaseDeadline {
  Ipv4Address address;
  TimePoint no_new_mappings;  // from here on
  TimePoint stop;             // from here on nothing: sessions are dropped, routes withdrawn
  bool operator==(const LeaseDeadline&) const = default;
};

class LeaseClock {
 public:
  // The running allocation. Addresses that stay keep their deadline.
  void set_leases(const std::vector<LeasedAddress>& leases);
  // Before the message leaves. `now` is the start of every deadline that its answer gives.
  void renewal_sent(std::uint64_t sequence, TimePoint now);
  // Moves deadlines forward, never back. False when the answer matches no renewal of this stream: a late or
  // invented answer proves nothing.
  bool renewal_answered(std::uint64_t sequence, const std::vector<Ipv4Address>& renewed);
  // A new stream: what is outstanding will never be answered.
  void forget_outstanding() { sent_.clear(); }

  // All STOP leases that ever were renewed, by address. What is missing here may not be used.
  [[nodiscard]] std::vector<LeaseDeadline> deadlines() const;
  [[nodiscard]] std::optional<TimePoint> earliest_stop() const;

 private:
  struct Lease {
    Duration term;
    std::optional<TimePoint> renewed;  // when the last answered renewal was sent
  };
  struct Sent {
    std::uint64_t sequence;
    TimePoint at;
  };
  std::map<Ipv4Address, Lease> leases_;  // STOP only
  std::deque<Sent> sent_;                // unanswered, oldest first, at most kMaxOutstanding
};

}  // namespace isthmus
