// SPDX-License-Identifier: Apache-2.0
// The policy as our own values: what from_proto() makes after every rule held, with every default filled in.
// Immutable once published; shared between threads as std::shared_ptr<const Policy>.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/base/clock.hpp"
#include "common/net/prefix.hpp"
#include "common/net/transport_address.hpp"
#include "common/rfc6052/pref64.hpp"

namespace isthmus {

struct Version {
  std::uint64_t epoch = 0;
  std::uint64_t counter = 0;
  constexpr auto operator<=>(const Version&) const = default;
  [[nodiscard]] std::string to_string() const {
    return std::to_string(epoch) + "." + std::to_string(counter);
  }
};

// A rule that a policy breaks: where, and what to write instead.
struct Violation {
  std::string path;  // "pools[0].addresses[2]"
  std::string message;
  bool operator==(const Violation&) const = default;
};

enum class Assignment { kShared, kPerNode };

struct TranslationPrefix {
  std::string name;
  Ipv6Prefix prefix;  // kShared: one of the six lengths of RFC 6052; kPerNode: a parent shorter than /96
  Assignment assignment = Assignment::kShared;
  std::vector<Ipv6Prefix> clients;
  std::vector<Ipv4Prefix> ipv4_ranges;  // never empty
  bool allow_non_global = false;

  // Length at which IPv4 addresses are embedded: that of the prefix, or 96 under a parent.
  [[nodiscard]] unsigned embed_length() const {
    return assignment == Assignment::kPerNode ? 96 : prefix.length();
  }
  bool operator==(const TranslationPrefix&) const = default;
};

// A piece of a large list: lines, each a domain as below.
using ListData = std::shared_ptr<const std::string>;

struct DomainList {
  std::string file;
  std::vector<std::string> chunks;  // hashes
  std::vector<ListData> data;       // of each chunk, once attached (domain_lists.hpp)
  bool operator==(const DomainList& other) const { return file == other.file && chunks == other.chunks; }
};

struct Exclusions {
  std::vector<Ipv4Prefix> ipv4_destinations;
  std::vector<Ipv6Prefix> ipv6_answers;       // ::ffff:0:0/96 is always among them
  std::vector<std::string> never_synthesize;  // lower case, absolute, presentation form: "corp.example."
  std::vector<std::string> always_synthesize;
  std::vector<DomainList> never_synthesize_lists;
  std::vector<DomainList> always_synthesize_lists;
  bool operator==(const Exclusions&) const = default;
};

enum class PoolKind { kLeased, kNodeLocal };
enum class OnExpiry { kHold, kStop };

struct PortRange {
  std::uint16_t first = 1024;
  std::uint16_t last = 65535;
  bool operator==(const PortRange&) const = default;
};

struct Subscribers {
  unsigned prefix_length = 128;
  std::uint32_t ports_per_block = 256;
  std::uint32_t max_blocks = 8;
  std::uint32_t max_sessions = 4096;
  std::uint32_t max_per_64 = 1024;
  std::uint32_t new_sessions_per_second = 0;  // 0: no limit
  bool operator==(const Subscribers&) const = default;
};

struct LeasePolicy {
  OnExpiry on_expiry = OnExpiry::kHold;
  Duration term = std::chrono::seconds{60};
  Duration quarantine = std::chrono::seconds{240};
  bool operator==(const LeasePolicy&) const = default;
};

struct Pool {
  std::string name;
  PoolKind kind = PoolKind::kLeased;
  std::vector<Ipv4Prefix> addresses;
  PortRange ports;
  LeasePolicy lease;
  Subscribers subscribers;
  bool operator==(const Pool&) const = default;
};

enum class Protocol : std::uint8_t { kTcp, kUdp, kIcmp };

struct StaticMapping {
  Protocol protocol = Protocol::kTcp;
  TransportAddress6 client6;
  TransportAddress4 public4;
  bool operator==(const StaticMapping&) const = default;
};

enum class Filtering { kEndpointIndependent, kAddressDependent };
enum class UdpZeroChecksum { kCalculate, kDrop };
enum class TrafficClass { kCopy, kZero };

struct Timeouts {  // RFC 6146 §4; the minima are enforced by from_proto
  Duration udp = std::chrono::seconds{300};
  Duration tcp_established = std::chrono::seconds{7440};
  Duration tcp_transitory = std::chrono::seconds{240};
  Duration tcp_incoming_syn = std::chrono::seconds{6};
  Duration icmp = std::chrono::seconds{60};
  Duration fragment = std::chrono::seconds{2};
  bool operator==(const Timeouts&) const = default;
};

struct ProbePolicy {
  Ipv6Address client6;
  Ipv4Address target4;
  Duration interval = std::chrono::seconds{2};
  bool operator==(const ProbePolicy&) const = default;
};

struct Nat64Policy {
  Filtering filtering = Filtering::kEndpointIndependent;
  bool hairpinning = true;
  std::uint32_t lowest_ipv6_mtu = 1280;
  UdpZeroChecksum udp_zero_checksum = UdpZeroChecksum::kCalculate;
  TrafficClass traffic_class = TrafficClass::kCopy;
  Timeouts timeouts;
  bool mss_clamp = false;
  std::uint64_t max_sessions = 1U << 20;        // per worker
  std::uint32_t icmp_errors_per_second = 1000;  // per worker
  std::uint32_t max_held_fragments = 1024;      // per worker
  bool log_blocks = true;
  bool allow_short_timeouts = false;  // the minima did not hold: a lab
  std::optional<ProbePolicy> probe;
  bool operator==(const Nat64Policy&) const = default;
};

using IpPrefix = std::variant<Ipv6Prefix, Ipv4Prefix>;
enum class AaaaFailure { kSynthesize, kPassError };

struct View {
  std::string name;
  std::vector<IpPrefix> clients;
  std::vector<std::string> prefixes;  // names of translation prefixes, each exists
  std::string resolver;               // name of a resolver, exists
  AaaaFailure aaaa_failure = AaaaFailure::kSynthesize;
  bool synthesize_https_hints = false;
  Duration steering_ttl = std::chrono::seconds{30};
  bool rebinding_protection = false;
  bool operator==(const View&) const = default;
};

struct Upstream {
  std::string address;  // valid IPv4 or IPv6 text
  std::uint16_t port = 53;
  bool tls = false;
  std::string tls_name;
  bool operator==(const Upstream&) const = default;
};

enum class ResolverMode { kRecurse, kForward };
enum class ZoneKind { kForward, kStub };

struct Zone {
  std::string name;
  ZoneKind kind = ZoneKind::kForward;
  std::vector<Upstream> upstreams;
  bool operator==(const Zone&) const = default;
};

struct Resolver {
  std::string name;
  ResolverMode mode = ResolverMode::kRecurse;
  std::vector<Upstream> upstreams;
  std::vector<Zone> zones;
  bool dnssec = true;
  std::vector<std::string> trust_anchors;
  std::vector<std::string> negative_trust_anchors;
  std::vector<std::string> root_hints;
  std::optional<bool> local_zones;  // none: only a resolver that asks the public root has them
  bool operator==(const Resolver&) const = default;
};

struct Dns64Limits {
  std::uint64_t cache_bytes = 256U << 20;
  std::uint32_t max_ttl_seconds = 86400;
  std::uint32_t max_negative_ttl_seconds = 3600;
  std::uint32_t max_outstanding = 4096;
  std::uint32_t client_queries_per_second = 0;
  std::uint32_t stale_seconds = 86400;
  bool operator==(const Dns64Limits&) const = default;
};

struct Dns64Policy {
  std::vector<View> views;
  std::vector<Resolver> resolvers;  // never empty when there are views
  Dns64Limits limits;
  bool operator==(const Dns64Policy&) const = default;
};

struct Policy {
  std::uint64_t revision = 0;
  std::vector<TranslationPrefix> translation_prefixes;
  Exclusions exclusions;
  std::vector<Pool> pools;
  std::vector<StaticMapping> static_mappings;
  Nat64Policy nat64;
  Dns64Policy dns64;
  bool operator==(const Policy&) const = default;
};

}  // namespace isthmus
