// SPDX-License-Identifier: Apache-2.0
// Takes NAT64 traffic, and nothing else, away from the kernel: IPv6 packets to a translation prefix, IPv4
// packets to an address of the pool, each in the VLAN of its side. ARP, neighbour discovery, SSH, BGP, frames
// of other VLANs and packets for other machines pass. It steers and never validates: what it lets through is
// hostile input to the translator.
//
// Traffic that is ours but has no AF_XDP socket to go to is dropped and counted: were it passed, the kernel
// would forward it untranslated.
// libbpf's headers need the kernel's before them.
// clang-format off
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
// clang-format on

#include "nat64-svc/shell/xsk/steer_maps.h"

struct {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __uint(max_entries, STEER_MAX_PREFIXES);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, struct steer_prefix6);
  __type(value, __u32);
} prefixes6 SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __uint(max_entries, STEER_MAX_PREFIXES);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, struct steer_prefix4);
  __type(value, __u32);
} prefixes4 SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_XSKMAP);
  __uint(max_entries, STEER_MAX_PORTS* STEER_MAX_QUEUES);
  __type(key, __u32);
  __type(value, __u32);
} sockets SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, STEER_SIDES);
  __type(key, __u32);
  __type(value, struct steer_side);
} sides SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, STEER_COUNTERS);
  __type(key, __u32);
  __type(value, __u64);
} counters SEC(".maps");

// The loader fills the idle one, then names it here.
struct steer_quick quick[2];
__u32 quick_now;

static __always_inline void count(__u32 which) {
  __u64* value = bpf_map_lookup_elem(&counters, &which);
  if (value) *value += 1;
}

static __always_inline int to_socket(struct xdp_md* ctx, __u32 port) {
  if (ctx->rx_queue_index < STEER_MAX_QUEUES) {
    int action = bpf_redirect_map(&sockets, port * STEER_MAX_QUEUES + ctx->rx_queue_index, XDP_DROP);
    if (action == XDP_REDIRECT) return action;
  }
  count(STEER_NO_SOCKET);
  return XDP_DROP;
}

// A frame flooded by a switch, or seen in promiscuous mode, is meant for another machine, perhaps another
// translator.
static __always_inline int is_for_us(const __u8* destination, __u16 vlan, __u32 side) {
  const struct steer_side* config = bpf_map_lookup_elem(&sides, &side);
  return config && config->vlan == vlan && *(const __u32*)destination == *(const __u32*)config->mac &&
         *(const __u16*)(destination + 4) == *(const __u16*)(config->mac + 4);
}

static __always_inline int is_target6(const __u8* address) {
  const struct steer_quick* q = &quick[quick_now & 1];
  const __u64 high = *(const __u64*)address;
  const __u64 low = *(const __u64*)(address + 8);
#pragma unroll
  for (int i = 0; i < STEER_QUICK; i++) {
    if ((high & q->prefixes6[i].mask[0]) == q->prefixes6[i].address[0] &&
        (low & q->prefixes6[i].mask[1]) == q->prefixes6[i].address[1])
      return 1;
  }
  struct steer_prefix6 key = {.length = 128};
  __builtin_memcpy(key.address, address, 16);
  return bpf_map_lookup_elem(&prefixes6, &key) != 0;
}

static __always_inline int is_target4(const __u8* address) {
  const struct steer_quick* q = &quick[quick_now & 1];
  const __u32 value = bpf_ntohl(*(const __u32*)address);
#pragma unroll
  for (int i = 0; i < STEER_QUICK; i++) {
    if (value >= q->ranges4[i].first && value <= q->ranges4[i].last) return 1;
  }
  struct steer_prefix4 key = {.length = 32};
  __builtin_memcpy(key.address, address, 4);
  return bpf_map_lookup_elem(&prefixes4, &key) != 0;
}

static __always_inline int steer(struct xdp_md* ctx, __u32 port, int take6, int take4) {
  const __u8* data = (void*)(long)ctx->data;
  const __u8* end = (void*)(long)ctx->data_end;
  if (data + ETH_HLEN > end) return XDP_PASS;
  __u16 ethertype = *(const __u16*)(data + 12);
  const __u8* packet = data + ETH_HLEN;
  // IEEE 802.1Q; a tag with number 0 tells only a priority. Of two tags (802.1ad) none is ours.
  __u16 vlan = 0;
  if (ethertype == bpf_htons(ETH_P_8021Q)) {
    if (packet + 4 > end) return XDP_PASS;
    vlan = bpf_ntohs(*(const __u16*)packet) & 0x0fff;
    ethertype = *(const __u16*)(packet + 2);
    packet += 4;
  }

  if (take6 && ethertype == bpf_htons(ETH_P_IPV6)) {
    if (packet + 40 > end) return XDP_PASS;
    if (!is_target6(packet + 24) || !is_for_us(data, vlan, STEER_SIDE6)) return XDP_PASS;
    return to_socket(ctx, port);
  }
  if (take4 && ethertype == bpf_htons(ETH_P_IP)) {
    if (packet + 20 > end) return XDP_PASS;
    if (!is_target4(packet + 16) || !is_for_us(data, vlan, STEER_SIDE4)) return XDP_PASS;
    return to_socket(ctx, port);
  }
  return XDP_PASS;
}

SEC("xdp") int steer6(struct xdp_md* ctx) {
  return steer(ctx, STEER_PORT6, 1, 0);
}
SEC("xdp") int steer4(struct xdp_md* ctx) {
  return steer(ctx, STEER_PORT4, 0, 1);
}
SEC("xdp") int steer_both(struct xdp_md* ctx) {
  return steer(ctx, STEER_PORT6, 1, 1);
}

char _license[] SEC("license") = "Apache-2.0";
