// SPDX-License-Identifier: Apache-2.0
// What the steering program and its loader agree on. Plain C: both sides include it.
#ifndef ISTHMUS_NAT64_STEER_MAPS_H
#define ISTHMUS_NAT64_STEER_MAPS_H

#include <linux/types.h>

enum {
  STEER_SIDE6 = 0,  // traffic of the IPv6 clients
  STEER_SIDE4 = 1,  // traffic of the IPv4 internet
  STEER_SIDES = 2,
  STEER_PORT6 = 0,  // the device of the IPv6 side; also the only one when both sides share it
  STEER_PORT4 = 1,
  STEER_MAX_PORTS = 2,
  STEER_MAX_QUEUES = 64,
  STEER_MAX_PREFIXES = 65536,
  STEER_QUICK = 4,
};

enum steer_counter {
  STEER_NO_SOCKET = 0,  // ours, but no AF_XDP socket is bound for the queue: dropped
  STEER_COUNTERS = 1,
};

// Keys of the LPM tries: prefix length in bits (host order), then the address in network order.
struct steer_prefix6 {
  __u32 length;
  __u8 address[16];
};
struct steer_prefix4 {
  __u32 length;
  __u8 address[4];
};

// What most packets of a usual site match, compared before the tries are walked. All of it is in the tries
// too.
struct steer_quick {
  struct {
    __u64 address[2], mask[2];  // network byte order, as in the packet; an unused one matches nothing
  } prefixes6[STEER_QUICK];
  struct {
    __u32 first, last;  // host order, both included; first > last: unused
  } ranges4[STEER_QUICK];
};

struct steer_side {
  __u8 mac[6];
  __u16 vlan;  // of the tag that its frames bear; 0: none
};

#endif
