// SPDX-License-Identifier: Apache-2.0
// Which node should get which address: the wish half of lease allocation (LeaseTable has the last word). Per
// pool:
//
//  * a node starts with a fair share of half the pool, at least one address; the other half follows load and
//  newcomers;
//  * a node whose port blocks run short gets more, up to what is free;
//  * a node without an address, when none is free, gets one from the node that has most;
//  * a node that runs short, when none is free, gets one from the node that has most among those that had
//  little use for a while; these keep their fair share;
//  * nothing else ever moves: nodes that come and go leave the others alone;
//  * a node that returns gets its former addresses first; otherwise the address that rested longest;
//  * an address of a static mapping is granted first, to the node that rendezvous hashing of its client
//  names.
#pragma once

#include <string>
#include <vector>

#include "common/config/policy.hpp"
#include "controller/core/lease_table.hpp"

namespace isthmus::controller {

struct LeaseCandidate {
  Holder holder;
  double use = 0;     // share of its port blocks taken, 0 to 1
  bool idle = false;  // it had little use for a while
};

// Less than this share of its port blocks. Far enough below what is short of ports that a node which loses
// one of two addresses does not run short.
inline constexpr double kLittleUse = 0.3;

struct LeaseWish {
  Ipv4Address address;
  Holder holder;
};

struct LeasePlan {
  std::vector<LeaseWish> grants;
  std::vector<Ipv4Address> withdrawals;  // for nodes without one
  std::vector<Ipv4Address> from_idle;    // withdrawals, too, for nodes that run short
};

// `candidates`: connected NAT64 nodes that are not drained; sorted by holder.
[[nodiscard]] LeasePlan plan_leases(const LeaseTable& table, const Policy& policy,
                                    const std::vector<LeaseCandidate>& candidates);

}  // namespace isthmus::controller
