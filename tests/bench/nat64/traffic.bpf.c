// SPDX-License-Identifier: Apache-2.0
// A packet generator, to be run by BPF_PROG_TEST_RUN with live frames, and the sinks that count what comes
// out at the other side of the device under test. Flow f belongs to client f / 64 and has source port 10000 +
// f % 64.
#include <linux/bpf.h>
// Order matters: helpers need the types.
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "tests/bench/nat64/traffic.h"

#define MAGIC bpf_htonl(0x4e415442) /* "NATB" */

// Written by the program that loads this: frames with the fields that vary zero, and the sums of the rest.
__u8 frames[TRAFFIC_KINDS][96];
__u32 udp_sums[TRAFFIC_KINDS];
__u32 ip_sums[TRAFFIC_KINDS];
__u32 client_kind, server_kind;
__u32 from_server;  // send the other way
__u32 flows;        // 0: every packet is a new flow
__u64 interval;     // ns between packets; 0: as fast as possible
__u32 learning;     // note the public address and port of each flow

__u64 next_at, sequence, sent;

struct learned {
  __u32 address;
  __u16 port;
  __u16 known;
};
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, TRAFFIC_MAX_FLOWS);
  __type(key, __u32);
  __type(value, struct learned);
} public_side SEC(".maps");
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 2);
  __type(key, __u32);
  __type(value, struct traffic_count);
} counts SEC(".maps");
struct {
  __uint(type, BPF_MAP_TYPE_DEVMAP);
  __uint(max_entries, 2);
  __type(key, __u32);
  __type(value, __u32);
} devices SEC(".maps");

#define AT16(p, offset) (*(__u16*)((p) + (offset)))
#define AT32(p, offset) (*(__u32*)((p) + (offset)))
#define AT64(p, offset) (*(__u64*)((p) + (offset)))

static __always_inline __u16 finish(__u32 sum) {
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return ~sum;
}
static __always_inline __u32 words(__u32 value) {
  return (value & 0xffff) + (value >> 16);
}

// Flow and sequence number into the payload, then the checksum.
static __always_inline void fill_udp(__u8* udp, __u32 flow, __u64 number, __u32 sum) {
  AT32(udp, 12) = flow;
  AT64(udp, 16) = number;
  sum += words(flow) + words((__u32)number) + words((__u32)(number >> 32));
  __u16 checksum = finish(sum);
  AT16(udp, 6) = checksum ? checksum : 0xffff;
}

// Address offsets: the 16 bits of an IPv6 client that vary are its fourth group.
static __always_inline int make6(__u8* d, __u8* end, __u32 kind, __u32 flow, __u64 number) {
  if (d + TRAFFIC_LENGTH6 > end || kind >= TRAFFIC_KINDS) return XDP_ABORTED;
  __u16 client = bpf_htons(flow / TRAFFIC_FLOWS_PER_CLIENT);
  __u16 port = bpf_htons(TRAFFIC_FIRST_PORT + flow % TRAFFIC_FLOWS_PER_CLIENT);
  __builtin_memcpy(d, frames[kind], TRAFFIC_LENGTH6);
  if (kind == TRAFFIC_CLIENT6) {
    AT16(d, 14 + 8 + 6) = client;
    AT16(d, 54) = port;
  } else {
    AT16(d, 14 + 24 + 6) = client;
    AT16(d, 56) = port;
  }
  fill_udp(d + 54, flow, number, udp_sums[kind] + client + port);
  return XDP_REDIRECT;
}

static __always_inline int make4(__u8* d, __u8* end, __u32 kind, __u32 flow, __u64 number) {
  if (d + TRAFFIC_LENGTH4 > end || kind >= TRAFFIC_KINDS) return XDP_ABORTED;
  __u32 address = bpf_htonl(flow / TRAFFIC_FLOWS_PER_CLIENT) | bpf_htonl(0x0a420000);  // 10.66.0.0/16
  __u16 port = bpf_htons(TRAFFIC_FIRST_PORT + flow % TRAFFIC_FLOWS_PER_CLIENT);
  __builtin_memcpy(d, frames[kind], TRAFFIC_LENGTH4);
  if (kind == TRAFFIC_SERVER4) {
    struct learned* l = bpf_map_lookup_elem(&public_side, &flow);
    if (!l || !l->known) return XDP_DROP;
    address = l->address;
    port = l->port;
    AT32(d, 30) = address;
    AT16(d, 36) = port;
  } else {
    AT32(d, 26) = address;
    AT16(d, 34) = port;
  }
  AT16(d, 24) = finish(ip_sums[kind] + words(address));
  fill_udp(d + 34, flow, number, udp_sums[kind] + words(address) + port);
  return XDP_REDIRECT;
}

SEC("xdp")
int generate(struct xdp_md* ctx) {
  if (interval) {
    __u64 now = bpf_ktime_get_ns();
    if ((__s64)(now - next_at) < 0) return XDP_DROP;
    if (now - next_at > 1000000) next_at = now - 1000000;
    next_at += interval;
  }
  __u64 number = sequence++;
  // In an order that no cache foresees; 7919 is prime.
  __u32 flow = flows ? (__u32)(number * 7919 % flows) : (__u32)number;
  __u32 kind = from_server ? server_kind : client_kind;
  __u32 is4 = kind == TRAFFIC_CLIENT4 || kind == TRAFFIC_SERVER4;
  if (is4 && bpf_xdp_adjust_tail(ctx, TRAFFIC_LENGTH4 - TRAFFIC_LENGTH6)) return XDP_ABORTED;
  __u8* d = (void*)(long)ctx->data;
  __u8* end = (void*)(long)ctx->data_end;
  int made = is4 ? make4(d, end, kind, flow, number) : make6(d, end, kind, flow, number);
  if (made != XDP_REDIRECT) return made;
  sent++;
  return bpf_redirect_map(&devices, from_server ? 1 : 0, 0);
}

static __always_inline __u32 sum_words(__u8* p, int n) {
  __u32 sum = 0;
#pragma unroll
  for (int i = 0; i < n; i += 2) sum += AT16(p, i);
  return sum;
}

// Counts and drops the benchmark's packets, passes the rest.
static __always_inline int sink(struct xdp_md* ctx, __u32 side) {
  __u8* d = (void*)(long)ctx->data;
  __u8* end = (void*)(long)ctx->data_end;
  struct traffic_count* count = bpf_map_lookup_elem(&counts, &side);
  if (!count || d + TRAFFIC_LENGTH4 > end) return XDP_PASS;
  int is4 = AT16(d, 12) == bpf_htons(0x0800);
  __u8* udp = d + (is4 ? 34 : 54);
  if (udp + 26 > end || (is4 ? d[23] : d[20]) != 17 || AT32(udp, 8) != MAGIC) return XDP_PASS;
  count->packets++;
  __u32 sum = bpf_htons(17) + AT16(udp, 4) + sum_words(udp, 26);
  if (is4) {
    if (finish(sum_words(d + 14, 20))) count->bad++;
    sum += sum_words(d + 26, 8);
  } else {
    if (d + TRAFFIC_LENGTH6 > end) return XDP_PASS;
    sum += sum_words(d + 22, 32);
  }
  if (finish(sum)) count->bad++;
  if (learning && is4 && side == TRAFFIC_TO_SERVER) {
    __u32 flow = AT32(udp, 12);
    struct learned* l = bpf_map_lookup_elem(&public_side, &flow);
    if (l && !l->known) {
      l->address = AT32(d, 26);
      l->port = AT16(udp, 0);
      l->known = 1;
    }
  }
  return XDP_DROP;
}
SEC("xdp") int sink_client(struct xdp_md* ctx) {
  return sink(ctx, TRAFFIC_TO_CLIENT);
}
SEC("xdp") int sink_server(struct xdp_md* ctx) {
  return sink(ctx, TRAFFIC_TO_SERVER);
}

char _license[] SEC("license") = "Apache-2.0";
