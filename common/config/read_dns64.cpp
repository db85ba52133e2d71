// SPDX-License-Identifier: Apache-2.0
// Rules of dns64: views, resolvers, limits.
#include <algorithm>

#include "common/config/checker.hpp"
#include "common/config/durations.hpp"

namespace isthmus {
namespace {

using Upstreams = google::protobuf::RepeatedPtrField<v1::Upstream>;

std::vector<Upstream> read_upstreams(const Upstreams& in, const std::string& path, Checker& check) {
  std::vector<Upstream> out;
  for (int i = 0; i < in.size(); ++i) {
    const auto where = at(path, i);
    Upstream up;
    up.address = in[i].address();
    up.tls = in[i].tls();
    up.tls_name = in[i].tls_name();
    if (!Ipv4Address::parse(up.address) && !Ipv6Address::parse(up.address)) {
      check.refuse(where + ".address", "required: an IPv4 or IPv6 address");
    }
    const auto port = in[i].has_port() ? in[i].port() : up.tls ? 853U : 53U;
    if (port < 1 || port > 65535) check.refuse(where + ".port", "must be from 1 to 65535");
    up.port = static_cast<std::uint16_t>(port);
    if (up.tls && up.tls_name.empty())
      check.refuse(where + ".tls_name", "required with tls: the name to be proved");
    if (!up.tls && !up.tls_name.empty()) check.refuse(where + ".tls_name", "only with `tls: true`");
    if (!up.tls_name.empty()) (void)check.domain(up.tls_name, where + ".tls_name");
    out.push_back(std::move(up));
  }
  return out;
}

// These lines go into the resolver's configuration text: no line may break out of it.
std::vector<std::string> read_lines(const Checker::Strings& in, const std::string& path, Checker& check) {
  std::vector<std::string> out;
  for (int i = 0; i < in.size(); ++i) {
    const bool clean =
        std::ranges::all_of(in[i], [](char c) { return c >= 0x20 && c < 0x7f && c != '"' && c != '\\'; });
    if (in[i].empty() || in[i].size() > 4096 || !clean) {
      check.refuse(at(path, i), "must be one line of printable text without quotes");
    } else {
      out.push_back(in[i]);
    }
  }
  return out;
}

void read_resolvers(const v1::Dns64& in, Checker& check, Dns64Policy& out) {
  std::set<std::string> names;
  for (int i = 0; i < in.resolvers_size(); ++i) {
    const auto& from = in.resolvers(i);
    const auto path = at("dns64.resolvers", i);
    Resolver r;
    r.name = check.name(from.name(), path + ".name", names);
    r.mode = from.mode() == v1::Resolver::FORWARD ? ResolverMode::kForward : ResolverMode::kRecurse;
    r.upstreams = read_upstreams(from.upstreams(), path + ".upstreams", check);
    if (r.mode == ResolverMode::kForward && r.upstreams.empty()) {
      check.refuse(path + ".upstreams", "required for FORWARD: the servers to ask");
    }
    if (r.mode == ResolverMode::kRecurse && !r.upstreams.empty()) {
      check.refuse(path + ".upstreams",
                   "RECURSE asks the authoritative servers itself; write `mode: FORWARD` to use these");
    }
    for (int z = 0; z < from.zones_size(); ++z) {
      const auto zone_path = at(path + ".zones", z);
      Zone zone;
      zone.name = check.domain(from.zones(z).name(), zone_path + ".name").value_or("");
      zone.kind = from.zones(z).kind() == v1::Zone::STUB ? ZoneKind::kStub : ZoneKind::kForward;
      zone.upstreams = read_upstreams(from.zones(z).upstreams(), zone_path + ".upstreams", check);
      if (zone.upstreams.empty()) check.refuse(zone_path + ".upstreams", "required: the servers to ask");
      r.zones.push_back(std::move(zone));
    }
    if (from.has_dnssec()) r.dnssec = from.dnssec();
    r.trust_anchors = read_lines(from.trust_anchors(), path + ".trust_anchors", check);
    r.negative_trust_anchors = check.domains(from.negative_trust_anchors(), path + ".negative_trust_anchors");
    r.root_hints = read_lines(from.root_hints(), path + ".root_hints", check);
    if (from.has_local_zones()) r.local_zones = from.local_zones();
    out.resolvers.push_back(std::move(r));
  }
}

std::vector<IpPrefix> read_clients(const Checker::Strings& in, const std::string& path, Checker& check) {
  std::vector<IpPrefix> out;
  for (int i = 0; i < in.size(); ++i) {
    if (const auto v6 = Ipv6Prefix::parse(in[i]))
      out.emplace_back(*v6);
    else if (const auto v4 = Ipv4Prefix::parse(in[i]))
      out.emplace_back(*v4);
    else {
      check.refuse(at(path, i),
                   "`" + in[i].substr(0, 80) + "` is no IPv6 or IPv4 prefix with zero host bits");
      continue;
    }
    const auto shortest =
        std::holds_alternative<Ipv6Prefix>(out.back()) ? kShortestClients6 : kShortestClients4;
    if (std::visit([](const auto& p) { return p.length(); }, out.back()) < shortest) {
      check.refuse(at(path, i), "would make an open resolver; list your networks");
    }
  }
  if (in.empty()) check.refuse(path, "required: who is answered by this view");
  return out;
}

void read_views(const v1::Dns64& in, const Policy& policy, Checker& check, Dns64Policy& out) {
  std::set<std::string> names;
  for (int i = 0; i < in.views_size(); ++i) {
    const auto& from = in.views(i);
    const auto path = at("dns64.views", i);
    View view;
    view.name = check.name(from.name(), path + ".name", names);
    view.clients = read_clients(from.clients(), path + ".clients", check);
    for (std::size_t j = 0; j < out.views.size(); ++j) {
      for (const auto& client : view.clients) {
        if (std::ranges::find(out.views[j].clients, client) != out.views[j].clients.end()) {
          check.refuse(path + ".clients", "shares a prefix with " + at("dns64.views", static_cast<int>(j)));
        }
      }
    }
    for (int p = 0; p < from.prefixes_size(); ++p) {
      const auto& name = from.prefixes(p);
      if (std::ranges::none_of(policy.translation_prefixes, [&](const auto& t) { return t.name == name; })) {
        check.refuse(at(path + ".prefixes", p),
                     "no translation prefix is named `" + name.substr(0, 80) + "`");
      }
      view.prefixes.push_back(name);
    }
    view.resolver = from.resolver();
    if (view.resolver.empty() && !out.resolvers.empty()) view.resolver = out.resolvers.front().name;
    if (std::ranges::none_of(out.resolvers, [&](const auto& r) { return r.name == view.resolver; })) {
      check.refuse(path + ".resolver",
                   "no resolver is named `" + view.resolver.substr(0, 80) + "`; add it to dns64.resolvers");
    }
    view.aaaa_failure =
        from.aaaa_failure() == v1::View::PASS_ERROR ? AaaaFailure::kPassError : AaaaFailure::kSynthesize;
    view.synthesize_https_hints = from.synthesize_https_hints();
    view.rebinding_protection = from.rebinding_protection();
    if (from.has_steering_ttl()) view.steering_ttl = duration_from_proto(from.steering_ttl());
    if (view.steering_ttl < std::chrono::seconds{1} || view.steering_ttl > std::chrono::hours{1}) {
      check.refuse(path + ".steering_ttl", "must be from 1s to 1h");
    }
    out.views.push_back(std::move(view));
  }
}

}  // namespace

void read_dns64(const v1::Policy& in, Checker& check, Policy& out) {
  const auto& from = in.dns64();
  read_resolvers(from, check, out.dns64);
  read_views(from, out, check, out.dns64);
  const auto& limits = from.limits();
  auto& to = out.dns64.limits;
  if (limits.has_cache_bytes()) to.cache_bytes = limits.cache_bytes();
  if (to.cache_bytes < 1U << 20) check.refuse("dns64.limits.cache_bytes", "must be at least 1048576");
  if (limits.has_max_ttl_seconds()) to.max_ttl_seconds = limits.max_ttl_seconds();
  if (to.max_ttl_seconds > 604800) check.refuse("dns64.limits.max_ttl_seconds", "must be at most 604800");
  if (limits.has_max_negative_ttl_seconds()) to.max_negative_ttl_seconds = limits.max_negative_ttl_seconds();
  if (to.max_negative_ttl_seconds > 86400)
    check.refuse("dns64.limits.max_negative_ttl_seconds", "must be at most 86400");
  if (limits.has_max_outstanding()) to.max_outstanding = limits.max_outstanding();
  if (to.max_outstanding < 1 || to.max_outstanding > 1U << 20) {
    check.refuse("dns64.limits.max_outstanding", "must be from 1 to 1048576");
  }
  if (limits.has_client_queries_per_second())
    to.client_queries_per_second = limits.client_queries_per_second();
  if (limits.has_stale_seconds()) to.stale_seconds = limits.stale_seconds();
  if (to.stale_seconds > 604800) check.refuse("dns64.limits.stale_seconds", "must be at most 604800");
}

}  // namespace isthmus
