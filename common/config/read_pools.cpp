// SPDX-License-Identifier: Apache-2.0
// Rules of pools and static_mappings.
#include <algorithm>
#include <bit>

#include "common/config/checker.hpp"
#include "common/config/durations.hpp"
#include "common/net/special_ranges.hpp"

namespace isthmus {
namespace {

PortRange read_ports(const v1::PortRange& in, const std::string& path, Checker& check) {
  PortRange out;
  const auto first = in.has_first() ? in.first() : 1024U;
  const auto last = in.has_last() ? in.last() : 65535U;
  if (first < 1 || last > 65535 || first > last) {
    check.refuse(path, "must be a range within 1 to 65535");
    return out;
  }
  out.first = static_cast<std::uint16_t>(first);
  out.last = static_cast<std::uint16_t>(last);
  return out;
}

LeasePolicy read_lease(const v1::Lease& in, const std::string& path, Checker& check) {
  LeasePolicy out;
  out.on_expiry = in.on_expiry() == v1::Lease::STOP ? OnExpiry::kStop : OnExpiry::kHold;
  if (in.has_term()) out.term = duration_from_proto(in.term());
  if (out.term < std::chrono::seconds{10} || out.term > std::chrono::hours{24}) {
    check.refuse(path + ".term", "must be from 10s to 24h");
  }
  if (in.has_quarantine()) out.quarantine = duration_from_proto(in.quarantine());
  if (out.quarantine < Duration{0} || out.quarantine > std::chrono::hours{24}) {
    check.refuse(path + ".quarantine", "must be from 0s to 24h");
  }
  return out;
}

Subscribers read_subscribers(const v1::Subscribers& in, const std::string& path, const Pool& pool,
                             Checker& check) {
  Subscribers out;
  if (in.has_prefix_length())
    out.prefix_length = in.prefix_length();
  else if (pool.kind == PoolKind::kLeased) {
    check.refuse(path + ".prefix_length",
                 "required for a LEASED pool: 64 when each client network is one subscriber, "
                 "128 when each host is");
  }
  if (out.prefix_length < 48 || out.prefix_length > 128)
    check.refuse(path + ".prefix_length", "must be from 48 to 128");
  if (in.has_ports_per_block()) out.ports_per_block = in.ports_per_block();
  if (out.ports_per_block < 16 || out.ports_per_block > 32768 || !std::has_single_bit(out.ports_per_block)) {
    check.refuse(path + ".ports_per_block", "must be a power of two from 16 to 32768");
  } else if (out.ports_per_block > static_cast<std::uint32_t>(pool.ports.last) - pool.ports.first + 1) {
    check.refuse(path + ".ports_per_block", "is larger than the pool's whole port range");
  }
  if (in.has_max_blocks()) out.max_blocks = in.max_blocks();
  if (out.max_blocks < 1 || out.max_blocks > 1024)
    check.refuse(path + ".max_blocks", "must be from 1 to 1024");
  if (in.has_max_sessions()) out.max_sessions = in.max_sessions();
  if (out.max_sessions < 1) check.refuse(path + ".max_sessions", "must be at least 1");
  if (in.has_max_per_64()) out.max_per_64 = in.max_per_64();
  if (out.max_per_64 < 1) check.refuse(path + ".max_per_64", "must be at least 1");
  if (in.has_new_sessions_per_second()) out.new_sessions_per_second = in.new_sessions_per_second();
  if (out.new_sessions_per_second > 1'000'000)
    check.refuse(path + ".new_sessions_per_second", "must be at most 1000000; 0: no limit");
  return out;
}

bool unusable(const Ipv4Prefix& p) {
  for (const auto& bad : {Ipv4Prefix{Ipv4Address{0, 0, 0, 0}, 8}, Ipv4Prefix{Ipv4Address{127, 0, 0, 0}, 8},
                          Ipv4Prefix{Ipv4Address{224, 0, 0, 0}, 3}}) {
    if (bad.overlaps(p)) return true;
  }
  return false;
}

void check_addresses(const std::string& path, Pool& pool, const Policy& out, Checker& check) {
  if (pool.addresses.empty()) {
    if (pool.kind == PoolKind::kLeased)
      check.refuse(path, "required: the IPv4 addresses of the pool");
    else
      pool.addresses.emplace_back(Ipv4Address{169, 254, 64, 0}, 22);
  }
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < pool.addresses.size(); ++i) {
    const auto& p = pool.addresses[i];
    const auto where = at(path, static_cast<int>(i));
    count += p.size();
    if (unusable(p)) check.refuse(where, "these addresses cannot be a host's source (0/8, 127/8, 224/3)");
    if (pool.kind == PoolKind::kNodeLocal && !(is_non_global(p.address()) && is_non_global(p.last()))) {
      check.refuse(where,
                   "a NODE_LOCAL pool is hidden behind each node: use private or link-local addresses");
    }
    for (std::size_t j = 0; j < i; ++j) {
      if (p.overlaps(pool.addresses[j])) check.refuse(where, "overlaps " + at(path, static_cast<int>(j)));
    }
    for (std::size_t k = 0; k < out.pools.size(); ++k) {
      if (std::ranges::any_of(out.pools[k].addresses, [&](const auto& q) { return q.overlaps(p); })) {
        check.refuse(where, "overlaps " + at("pools", static_cast<int>(k)) + ".addresses");
      }
    }
  }
  if (count > 1U << 20) check.refuse(path, "more than 1048576 addresses in one pool");
}

const Pool* pool_of(const Policy& policy, Ipv4Address address) {
  for (const auto& pool : policy.pools) {
    if (std::ranges::any_of(pool.addresses, [&](const auto& p) { return p.contains(address); })) return &pool;
  }
  return nullptr;
}

}  // namespace

void read_pools(const v1::Policy& in, Checker& check, Policy& out) {
  std::set<std::string> names;
  for (int i = 0; i < in.pools_size(); ++i) {
    const auto& from = in.pools(i);
    const auto path = at("pools", i);
    Pool pool;
    pool.name = check.name(from.name(), path + ".name", names);
    pool.kind = from.kind() == v1::Pool::NODE_LOCAL ? PoolKind::kNodeLocal : PoolKind::kLeased;
    pool.addresses = check.ipv4_prefixes(from.addresses(), path + ".addresses");
    check_addresses(path + ".addresses", pool, out, check);
    pool.ports = read_ports(from.ports(), path + ".ports", check);
    pool.lease = read_lease(from.lease(), path + ".lease", check);
    pool.subscribers = read_subscribers(from.subscribers(), path + ".subscribers", pool, check);
    out.pools.push_back(std::move(pool));
  }
}

void read_static_mappings(const v1::Policy& in, Checker& check, Policy& out) {
  std::set<std::pair<Protocol, TransportAddress6>> clients;
  std::set<std::pair<Protocol, TransportAddress4>> publics;
  for (int i = 0; i < in.static_mappings_size(); ++i) {
    const auto& from = in.static_mappings(i);
    const auto path = at("static_mappings", i);
    StaticMapping mapping;
    if (from.protocol() == v1::StaticMapping::PROTOCOL_UNSPECIFIED) {
      check.refuse(path + ".protocol", "required: TCP, UDP or ICMP");
    }
    mapping.protocol = from.protocol() == v1::StaticMapping::UDP    ? Protocol::kUdp
                       : from.protocol() == v1::StaticMapping::ICMP ? Protocol::kIcmp
                                                                    : Protocol::kTcp;
    const auto client6 = Ipv6Address::parse(from.client6());
    const auto public4 = Ipv4Address::parse(from.public4());
    if (!client6) check.refuse(path + ".client6", "required: an IPv6 address");
    if (!public4) check.refuse(path + ".public4", "required: an IPv4 address of a pool");
    for (const auto& [field, port] : {std::pair{".port6", from.port6()}, std::pair{".port4", from.port4()}}) {
      if (port < 1 || port > 65535) check.refuse(path + field, "must be from 1 to 65535");
    }
    if (!client6 || !public4) continue;
    mapping.client6 = {*client6, static_cast<std::uint16_t>(from.port6())};
    mapping.public4 = {*public4, static_cast<std::uint16_t>(from.port4())};
    const auto* pool = pool_of(out, *public4);
    if (pool == nullptr)
      check.refuse(path + ".public4", "is in no pool");
    else if (pool->kind == PoolKind::kNodeLocal) {
      check.refuse(path + ".public4",
                   "static mappings need a LEASED pool: NODE_LOCAL addresses are masqueraded");
    }
    const bool known = std::ranges::any_of(out.translation_prefixes, [&](const auto& prefix) {
      return std::ranges::any_of(prefix.clients, [&](const auto& c) { return c.contains(*client6); });
    });
    if (!known) check.refuse(path + ".client6", "is no client of any translation prefix");
    if (!clients.emplace(mapping.protocol, mapping.client6).second)
      check.refuse(path, "client6 and port6 are mapped twice");
    if (!publics.emplace(mapping.protocol, mapping.public4).second)
      check.refuse(path, "public4 and port4 are mapped twice");
    out.static_mappings.push_back(mapping);
  }
}

}  // namespace isthmus
