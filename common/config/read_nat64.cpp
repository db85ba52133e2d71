// SPDX-License-Identifier: Apache-2.0
// Rules of nat64: bounds, and the minima of RFC 6146 §4 and RFC 5508.
#include <algorithm>

#include "common/config/checker.hpp"
#include "common/config/durations.hpp"

namespace isthmus {
namespace {

struct Timer {
  const char* name;
  bool given;
  const google::protobuf::Duration& value;
  Duration minimum;
  const char* source;
  Duration& out;
};

ProbePolicy read_probe(const v1::Probe& from, const std::vector<TranslationPrefix>& prefixes,
                       Checker& check) {
  ProbePolicy to;
  const auto client6 = Ipv6Address::parse(from.client6());
  const auto target4 = Ipv4Address::parse(from.target4());
  if (!client6) check.refuse("nat64.probe.client6", "required: an IPv6 address that no client uses");
  if (!target4) check.refuse("nat64.probe.target4", "required: an IPv4 address that answers pings");
  if (from.has_interval()) to.interval = duration_from_proto(from.interval());
  if (to.interval < std::chrono::seconds{1} || to.interval > std::chrono::seconds{60})
    check.refuse("nat64.probe.interval", "must be from 1s to 60s");
  if (!client6 || !target4) return to;
  to.client6 = *client6;
  to.target4 = *target4;
  const bool served = std::ranges::any_of(prefixes, [&](const TranslationPrefix& prefix) {
    return std::ranges::any_of(prefix.clients, [&](const auto& c) { return c.contains(*client6); }) &&
           std::ranges::any_of(prefix.ipv4_ranges, [&](const auto& r) { return r.contains(*target4); });
  });
  if (!served)
    check.refuse("nat64.probe.client6",
                 "is among the clients of no translation prefix that serves nat64.probe.target4");
  return to;
}

}  // namespace

void read_nat64(const v1::Policy& in, Checker& check, Policy& out) {
  const auto& from = in.nat64();
  auto& to = out.nat64;
  using V = v1::Nat64;
  to.filtering = from.filtering() == V::ADDRESS_DEPENDENT ? Filtering::kAddressDependent
                                                          : Filtering::kEndpointIndependent;
  to.udp_zero_checksum =
      from.udp_zero_checksum() == V::DROP ? UdpZeroChecksum::kDrop : UdpZeroChecksum::kCalculate;
  to.traffic_class = from.traffic_class() == V::ZERO ? TrafficClass::kZero : TrafficClass::kCopy;
  if (from.has_hairpinning()) to.hairpinning = from.hairpinning();
  to.mss_clamp = from.mss_clamp();
  if (from.has_lowest_ipv6_mtu()) to.lowest_ipv6_mtu = from.lowest_ipv6_mtu();
  if (to.lowest_ipv6_mtu < 1280 || to.lowest_ipv6_mtu > 65535) {
    check.refuse("nat64.lowest_ipv6_mtu", "must be from 1280 (RFC 8200 section 5) to 65535");
  }
  if (from.has_max_sessions()) to.max_sessions = from.max_sessions();
  if (to.max_sessions < 1 || to.max_sessions > 1U << 28)
    check.refuse("nat64.max_sessions", "must be from 1 to 268435456");
  if (from.has_icmp_errors_per_second()) to.icmp_errors_per_second = from.icmp_errors_per_second();
  if (from.fragments().has_max_held()) to.max_held_fragments = from.fragments().max_held();
  if (to.max_held_fragments > 1U << 20) check.refuse("nat64.fragments.max_held", "must be at most 1048576");
  if (from.events().has_log_blocks()) to.log_blocks = from.events().log_blocks();

  to.allow_short_timeouts = from.allow_short_timeouts();
  if (from.has_probe()) to.probe = read_probe(from.probe(), out.translation_prefixes, check);

  using std::chrono::seconds;
  const auto& timeouts = from.timeouts();
  auto& t = to.timeouts;
  for (const auto& timer :
       {Timer{"timeouts.udp", timeouts.has_udp(), timeouts.udp(), seconds{120}, "RFC 6146 section 4", t.udp},
        Timer{"timeouts.tcp_established", timeouts.has_tcp_established(), timeouts.tcp_established(),
              seconds{7440}, "RFC 6146 section 4", t.tcp_established},
        Timer{"timeouts.tcp_transitory", timeouts.has_tcp_transitory(), timeouts.tcp_transitory(),
              seconds{240}, "RFC 6146 section 4", t.tcp_transitory},
        Timer{"timeouts.tcp_incoming_syn", timeouts.has_tcp_incoming_syn(), timeouts.tcp_incoming_syn(),
              seconds{6}, "RFC 6146 section 4", t.tcp_incoming_syn},
        Timer{"timeouts.icmp", timeouts.has_icmp(), timeouts.icmp(), seconds{60}, "RFC 5508 REQ-2", t.icmp},
        Timer{"fragments.timeout", from.fragments().has_timeout(), from.fragments().timeout(), seconds{2},
              "RFC 6146 section 3.4", t.fragment}}) {
    if (!timer.given) continue;
    timer.out = duration_from_proto(timer.value);
    const Duration minimum = from.allow_short_timeouts() ? std::chrono::milliseconds{100} : timer.minimum;
    if (timer.out < minimum || timer.out > std::chrono::hours{24 * 7}) {
      check.refuse(std::string{"nat64."} + timer.name,
                   "must be from " + format_duration(minimum) + " (" + timer.source +
                       ") to 168h; allow_short_timeouts lifts the minimum in labs");
    }
  }
}

}  // namespace isthmus
