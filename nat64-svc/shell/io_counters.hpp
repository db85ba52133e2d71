// SPDX-License-Identifier: Apache-2.0
// What the I/O around the translator counts, per worker. Reasons here are the shell's; those of the
// translator are in core/drop_reason.hpp. Both are labels of isthmus_nat64_dropped_packets_total.
#pragma once

#include <array>
#include <cstdint>

#include "common/base/enum_names.hpp"
#include "nat64-svc/core/counters.hpp"

namespace isthmus::nat64 {

enum class IoDrop : std::uint8_t {
  kShortFrame,        // no whole Ethernet header
  kOtherEthertype,    // neither IPv4 nor IPv6: the steering program never sends such
  kNoRoute,           // the kernel has no route to where the translated packet goes
  kRouteRefused,      // an unreachable, blackhole or prohibit route
  kLocalDestination,  // an address of this machine: packets to it cannot be translated here
  kOtherInterface,    // the route leaves by an interface that is not ours
  kNeighbourUnknown,  // the next hop's link address was not found within a second
  kNeighbourQueue,    // too many packets wait for link addresses
  kTransmitRing,      // the interface does not send as fast as packets come
  kNoFrame,           // no packet memory left
  kExceedsMtu,        // longer than the interface it leaves by takes
  kHandOverRing,      // belongs to another worker, whose ring is full
  kLeaseOver,         // the deadline of a STOP lease passed
  kCount
};
inline constexpr EnumNames<IoDrop> kIoDropNames{{"short_frame", "other_ethertype", "no_route",
                                                 "route_refused", "local_destination", "other_interface",
                                                 "neighbour_unknown", "neighbour_queue", "transmit_ring",
                                                 "no_frame", "exceeds_mtu", "hand_over_ring", "lease_over"}};

struct IoCounters {
  std::array<Counter, kEnumSize<IoDrop>> dropped;
  std::array<Counter, 2> received;     // frames, by port
  std::array<Counter, 2> transmitted;  // frames, by port
  Counter held_for_neighbour;          // packets that wait now
  Counter free_frames;
  Counter sampled_sources;      // node mode: packets from the IPv6 side whose source was looked at
  Counter probe_state;          // PathProbe::State
  Counter probe_round_trip;     // nanoseconds, of the last one that was answered
  Counter sampled_own_sources;  // of them, those from an address of the node itself

  void drop(IoDrop reason) { dropped[static_cast<std::size_t>(reason)].add(); }
};

}  // namespace isthmus::nat64
