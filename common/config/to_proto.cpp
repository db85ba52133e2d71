// SPDX-License-Identifier: Apache-2.0
#include "common/config/to_proto.hpp"

#include "common/config/durations.hpp"

namespace isthmus {
namespace {

template <class Prefixes, class Field>
void add_texts(const Prefixes& prefixes, Field& field) {
  for (const auto& prefix : prefixes) *field.Add() = prefix.to_string();
}

template <class Field>
void add_strings(const std::vector<std::string>& strings, Field& field) {
  field.Add(strings.begin(), strings.end());
}

void write_prefix(const TranslationPrefix& from, v1::TranslationPrefix& to) {
  to.set_name(from.name);
  to.set_prefix(from.prefix.to_string());
  to.set_assignment(from.assignment == Assignment::kPerNode ? v1::TranslationPrefix::PER_NODE
                                                            : v1::TranslationPrefix::SHARED);
  add_texts(from.clients, *to.mutable_clients());
  add_texts(from.ipv4_ranges, *to.mutable_ipv4_ranges());
  to.set_allow_non_global(from.allow_non_global);
}

template <class Field>
void write_lists(const std::vector<DomainList>& from, Field& field) {
  for (const auto& list : from) {
    auto& to = *field.Add();
    to.set_file(list.file);
    add_strings(list.chunks, *to.mutable_chunks());
  }
}

void write_exclusions(const Exclusions& from, v1::Exclusions& to) {
  add_texts(from.ipv4_destinations, *to.mutable_ipv4_destinations());
  add_texts(from.ipv6_answers, *to.mutable_ipv6_answers());
  add_strings(from.never_synthesize, *to.mutable_never_synthesize());
  add_strings(from.always_synthesize, *to.mutable_always_synthesize());
  write_lists(from.never_synthesize_lists, *to.mutable_never_synthesize_lists());
  write_lists(from.always_synthesize_lists, *to.mutable_always_synthesize_lists());
}

void write_pool(const Pool& from, v1::Pool& to) {
  to.set_name(from.name);
  to.set_kind(from.kind == PoolKind::kNodeLocal ? v1::Pool::NODE_LOCAL : v1::Pool::LEASED);
  add_texts(from.addresses, *to.mutable_addresses());
  to.mutable_ports()->set_first(from.ports.first);
  to.mutable_ports()->set_last(from.ports.last);
  auto& lease = *to.mutable_lease();
  lease.set_on_expiry(from.lease.on_expiry == OnExpiry::kStop ? v1::Lease::STOP : v1::Lease::HOLD);
  *lease.mutable_term() = duration_to_proto(from.lease.term);
  *lease.mutable_quarantine() = duration_to_proto(from.lease.quarantine);
  auto& subscribers = *to.mutable_subscribers();
  subscribers.set_prefix_length(from.subscribers.prefix_length);
  subscribers.set_ports_per_block(from.subscribers.ports_per_block);
  subscribers.set_max_blocks(from.subscribers.max_blocks);
  subscribers.set_max_sessions(from.subscribers.max_sessions);
  subscribers.set_max_per_64(from.subscribers.max_per_64);
  subscribers.set_new_sessions_per_second(from.subscribers.new_sessions_per_second);
}

v1::StaticMapping::Protocol protocol(Protocol from) {
  switch (from) {
    case Protocol::kTcp:
      return v1::StaticMapping::TCP;
    case Protocol::kUdp:
      return v1::StaticMapping::UDP;
    case Protocol::kIcmp:
      return v1::StaticMapping::ICMP;
  }
  return v1::StaticMapping::PROTOCOL_UNSPECIFIED;
}

void write_mapping(const StaticMapping& from, v1::StaticMapping& to) {
  to.set_protocol(protocol(from.protocol));
  to.set_client6(from.client6.address.to_string());
  to.set_port6(from.client6.port);
  to.set_public4(from.public4.address.to_string());
  to.set_port4(from.public4.port);
}

void write_timeouts(const Timeouts& from, v1::Nat64& to) {
  auto& out = *to.mutable_timeouts();
  *out.mutable_udp() = duration_to_proto(from.udp);
  *out.mutable_tcp_established() = duration_to_proto(from.tcp_established);
  *out.mutable_tcp_transitory() = duration_to_proto(from.tcp_transitory);
  *out.mutable_tcp_incoming_syn() = duration_to_proto(from.tcp_incoming_syn);
  *out.mutable_icmp() = duration_to_proto(from.icmp);
  *to.mutable_fragments()->mutable_timeout() = duration_to_proto(from.fragment);
}

void write_nat64(const Nat64Policy& from, v1::Nat64& to) {
  using V = v1::Nat64;
  to.set_filtering(from.filtering == Filtering::kAddressDependent ? V::ADDRESS_DEPENDENT
                                                                  : V::ENDPOINT_INDEPENDENT);
  to.set_hairpinning(from.hairpinning);
  to.set_lowest_ipv6_mtu(from.lowest_ipv6_mtu);
  to.set_udp_zero_checksum(from.udp_zero_checksum == UdpZeroChecksum::kDrop ? V::DROP : V::CALCULATE);
  to.set_traffic_class(from.traffic_class == TrafficClass::kZero ? V::ZERO : V::COPY);
  to.set_mss_clamp(from.mss_clamp);
  to.set_max_sessions(from.max_sessions);
  to.set_icmp_errors_per_second(from.icmp_errors_per_second);
  write_timeouts(from.timeouts, to);
  to.mutable_fragments()->set_max_held(from.max_held_fragments);
  to.set_allow_short_timeouts(from.allow_short_timeouts);
  to.mutable_events()->set_log_blocks(from.log_blocks);
  if (!from.probe) return;
  to.mutable_probe()->set_client6(from.probe->client6.to_string());
  to.mutable_probe()->set_target4(from.probe->target4.to_string());
  *to.mutable_probe()->mutable_interval() = duration_to_proto(from.probe->interval);
}

void write_view(const View& from, v1::View& to) {
  to.set_name(from.name);
  for (const auto& client : from.clients)
    to.add_clients(std::visit([](const auto& prefix) { return prefix.to_string(); }, client));
  add_strings(from.prefixes, *to.mutable_prefixes());
  to.set_resolver(from.resolver);
  to.set_aaaa_failure(from.aaaa_failure == AaaaFailure::kPassError ? v1::View::PASS_ERROR
                                                                   : v1::View::SYNTHESIZE);
  to.set_synthesize_https_hints(from.synthesize_https_hints);
  *to.mutable_steering_ttl() = duration_to_proto(from.steering_ttl);
  to.set_rebinding_protection(from.rebinding_protection);
}

template <class Field>
void write_upstreams(const std::vector<Upstream>& from, Field& field) {
  for (const auto& upstream : from) {
    auto& to = *field.Add();
    to.set_address(upstream.address);
    to.set_port(upstream.port);
    to.set_tls(upstream.tls);
    to.set_tls_name(upstream.tls_name);
  }
}

void write_resolver(const Resolver& from, v1::Resolver& to) {
  to.set_name(from.name);
  to.set_mode(from.mode == ResolverMode::kForward ? v1::Resolver::FORWARD : v1::Resolver::RECURSE);
  write_upstreams(from.upstreams, *to.mutable_upstreams());
  for (const auto& zone : from.zones) {
    auto& out = *to.add_zones();
    out.set_name(zone.name);
    out.set_kind(zone.kind == ZoneKind::kStub ? v1::Zone::STUB : v1::Zone::FORWARD);
    write_upstreams(zone.upstreams, *out.mutable_upstreams());
  }
  to.set_dnssec(from.dnssec);
  add_strings(from.trust_anchors, *to.mutable_trust_anchors());
  add_strings(from.negative_trust_anchors, *to.mutable_negative_trust_anchors());
  add_strings(from.root_hints, *to.mutable_root_hints());
  if (from.local_zones) to.set_local_zones(*from.local_zones);
}

void write_limits(const Dns64Limits& from, v1::Dns64Limits& to) {
  to.set_cache_bytes(from.cache_bytes);
  to.set_max_ttl_seconds(from.max_ttl_seconds);
  to.set_max_negative_ttl_seconds(from.max_negative_ttl_seconds);
  to.set_max_outstanding(from.max_outstanding);
  to.set_client_queries_per_second(from.client_queries_per_second);
  to.set_stale_seconds(from.stale_seconds);
}

}  // namespace

v1::Policy to_proto(const Policy& from) {
  v1::Policy to;
  to.set_revision(from.revision);
  for (const auto& prefix : from.translation_prefixes) write_prefix(prefix, *to.add_translation_prefixes());
  write_exclusions(from.exclusions, *to.mutable_exclusions());
  for (const auto& pool : from.pools) write_pool(pool, *to.add_pools());
  for (const auto& mapping : from.static_mappings) write_mapping(mapping, *to.add_static_mappings());
  write_nat64(from.nat64, *to.mutable_nat64());
  for (const auto& view : from.dns64.views) write_view(view, *to.mutable_dns64()->add_views());
  for (const auto& resolver : from.dns64.resolvers)
    write_resolver(resolver, *to.mutable_dns64()->add_resolvers());
  write_limits(from.dns64.limits, *to.mutable_dns64()->mutable_limits());
  return to;
}

}  // namespace isthmus
