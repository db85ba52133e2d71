/* SPDX-License-Identifier: Apache-2.0 */
/* What traffic.bpf.c and traffic.cpp agree on. All frames carry UDP with 18 bytes of payload, so that the
 * IPv4 one has the least size that Ethernet allows. */
#pragma once

enum {
  TRAFFIC_LENGTH6 = 80, /* Ethernet, IPv6, UDP, 18 */
  TRAFFIC_LENGTH4 = 60,
  TRAFFIC_FLOWS_PER_CLIENT = 64,
  TRAFFIC_FIRST_PORT = 10000,
  TRAFFIC_MAX_FLOWS = 1 << 22, /* 65536 clients */
  TRAFFIC_SERVER_PORT = 9,
};

/* Kinds of frames: what is sent by the client, and by the server. */
enum { TRAFFIC_CLIENT6, TRAFFIC_CLIENT4, TRAFFIC_SERVER6, TRAFFIC_SERVER4, TRAFFIC_KINDS };

enum { TRAFFIC_TO_CLIENT, TRAFFIC_TO_SERVER }; /* sinks */

struct traffic_count {
  unsigned long long packets;
  unsigned long long bad; /* a checksum is wrong */
};
