// SPDX-License-Identifier: Apache-2.0
// Everything but ARP and neighbour discovery's ICMPv6 to the AF_XDP socket of the queue.
#include <linux/bpf.h>
// Order matters: helpers need the types.
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct {
  __uint(type, BPF_MAP_TYPE_XSKMAP);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u32);
} sockets6 SEC(".maps"), sockets4 SEC(".maps");

static __always_inline int forwarded(struct xdp_md* ctx) {
  __u8* d = (void*)(long)ctx->data;
  __u8* end = (void*)(long)ctx->data_end;
  if (d + 24 > end) return 0;
  return d[23 - 3] == 17 || d[23] == 17; /* next header of IPv6, protocol of IPv4 */
}
SEC("xdp") int side6(struct xdp_md* ctx) {
  return forwarded(ctx) ? bpf_redirect_map(&sockets6, ctx->rx_queue_index, XDP_PASS) : XDP_PASS;
}
SEC("xdp") int side4(struct xdp_md* ctx) {
  return forwarded(ctx) ? bpf_redirect_map(&sockets4, ctx->rx_queue_index, XDP_PASS) : XDP_PASS;
}

char _license[] SEC("license") = "Apache-2.0";
