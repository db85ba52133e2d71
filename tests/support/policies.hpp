// SPDX-License-Identifier: Apache-2.0
// Policies that tests start from.
#pragma once

namespace isthmus::test {

inline constexpr const char* kSmallPolicy = R"(
translation_prefixes:
  - name: well-known
    prefix: 64:ff9b::/96
    clients: ["2001:db8::/32"]
pools:
  - name: public
    addresses: [203.0.113.0/28]
    subscribers: {prefix_length: 64}
dns64:
  views:
    - {name: default, clients: ["2001:db8::/32"], prefixes: [well-known], resolver: main}
  resolvers:
    - {name: main}
)";

inline constexpr const char* kFullPolicy = R"(
revision: 7
translation_prefixes:
  - {name: well-known, prefix: "64:ff9b::/96", assignment: SHARED, clients: ["2001:db8::/32"], ipv4_ranges: [0.0.0.0/0]}
  - {name: steered, prefix: "2001:db8:64::/64", assignment: PER_NODE, clients: ["2001:db8::/32"], allow_non_global: true}
exclusions:
  ipv4_destinations: [192.0.2.0/24]
  ipv6_answers: ["2001:db8:bad::/48"]
  never_synthesize: [Corp.Example]
  always_synthesize: [legacy.example.]
pools:
  - name: public
    kind: LEASED
    addresses: [203.0.113.0/28]
    ports: {first: 2048, last: 65535}
    lease: {on_expiry: STOP, term: 90s, quarantine: 2m}
    subscribers: {prefix_length: 64, ports_per_block: 512, max_blocks: 4, max_sessions: 100, max_per_64: 9, new_sessions_per_second: 20}
static_mappings:
  - {protocol: TCP, client6: "2001:db8::5", port6: 8080, public4: 203.0.113.1, port4: 80}
nat64:
  filtering: ADDRESS_DEPENDENT
  hairpinning: false
  lowest_ipv6_mtu: 1400
  udp_zero_checksum: DROP
  traffic_class: ZERO
  timeouts: {udp: 5m, tcp_established: 3h, tcp_transitory: 240s, tcp_incoming_syn: 6s, icmp: 60s}
  mss_clamp: true
  max_sessions: 1000
  icmp_errors_per_second: 50
  fragments: {timeout: 2500ms, max_held: 64}
  events: {log_blocks: false}
  probe: {client6: "2001:db8::ffff", target4: 198.51.100.1, interval: 5s}
dns64:
  views:
    - {name: default, clients: ["2001:db8::/32", 192.0.2.0/24], prefixes: [well-known, steered], resolver: main,
       aaaa_failure: PASS_ERROR, synthesize_https_hints: true, steering_ttl: 10s, rebinding_protection: true}
  resolvers:
    - name: main
      mode: FORWARD
      upstreams: [{address: 192.0.2.53}, {address: "2001:db8::53", tls: true, tls_name: dns.example}]
      zones: [{name: cluster.local, kind: STUB, upstreams: [{address: 10.0.0.10, port: 5353}]}]
      dnssec: false
      negative_trust_anchors: [broken.example]
      local_zones: true
  limits: {cache_bytes: 1048576, max_ttl_seconds: 60, max_negative_ttl_seconds: 30, max_outstanding: 10,
           client_queries_per_second: 20, stale_seconds: 0}
)";

}  // namespace isthmus::test
