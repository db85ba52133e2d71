// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/core/runtime.hpp"

#include <algorithm>
#include <functional>

#include "common/net/special_ranges.hpp"
#include "dns64-svc/core/rendezvous.hpp"

namespace isthmus::dns64 {
namespace {

std::uint64_t client_64(const ClientAddress& client) {
  if (const auto* v6 = std::get_if<Ipv6Address>(&client)) return v6->high();
  return std::get<Ipv4Address>(client).value();
}

// The /96 at the start of a parent: what a client gets while no node is known to be healthy. Every gateway
// translates the whole parent, so the aggregate route still leads somewhere.
std::optional<Pref64> first_of_parent(const Ipv6Prefix& parent) {
  return Pref64::make(Ipv6Prefix{parent.address(), 96});
}

std::uint32_t seconds_of(Duration d) {
  return static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::seconds>(d).count());
}

Result<RuntimePrefix, std::string> compile_prefix(const TranslationPrefix& from, const HealthySet& healthy) {
  RuntimePrefix prefix;
  prefix.name = from.name;
  prefix.per_node = from.assignment == Assignment::kPerNode;
  prefix.clients = from.clients;
  prefix.ipv4_ranges = from.ipv4_ranges;
  prefix.allow_non_global = from.allow_non_global;
  if (prefix.per_node) {
    for (const auto& node : healthy.nodes)
      for (const auto& own : node.prefixes)
        if (own.translation_prefix == from.name && from.prefix.contains(own.prefix.prefix())) {
          prefix.choices.push_back(own.prefix);
          prefix.choice_nodes.push_back(rendezvous_node(node.node_id));
        }
  }
  if (prefix.choices.empty()) {
    const auto whole = prefix.per_node ? first_of_parent(from.prefix) : Pref64::make(from.prefix);
    if (!whole) return failure("translation prefix " + from.name + ": not a prefix of RFC 6052");
    prefix.choices.push_back(*whole);
    prefix.choice_nodes.push_back(0);
  }
  return prefix;
}

}  // namespace

bool RuntimePrefix::serves(const ClientAddress& client, unsigned known) const {
  if (clients.empty()) return true;
  const auto* v6 = std::get_if<Ipv6Address>(&client);
  // A client that speaks DNS over IPv4 is a forwarder or a dual-stack host; the view's list of prefixes
  // decides.
  if (v6 == nullptr) return true;
  return std::any_of(clients.begin(), clients.end(),
                     [&](const Ipv6Prefix& p) { return p.length() <= known && p.contains(*v6); });
}

bool RuntimePrefix::serves(Ipv4Address server4) const {
  if (!allow_non_global && is_non_global(server4)) return false;  // RFC 6052 §3.1
  return std::any_of(ipv4_ranges.begin(), ipv4_ranges.end(),
                     [&](const Ipv4Prefix& p) { return p.contains(server4); });
}

const Pref64& RuntimePrefix::choose(const ClientAddress& client) const {
  if (choices.size() == 1) return choices.front();
  return choices[rendezvous_choose(client_64(client), choice_nodes)];
}

Result<std::shared_ptr<const Dns64Runtime>, std::string> Dns64Runtime::compile(const Policy& policy,
                                                                               const HealthySet& healthy,
                                                                               ResolverGroups& groups,
                                                                               const Dns64Runtime* previous) {
  std::shared_ptr<Dns64Runtime> runtime{new Dns64Runtime};
  if (auto error = runtime->take_prefixes(policy, healthy)) return failure(*error);
  if (auto error = runtime->take_views(policy, groups)) return failure(*error);
  runtime->ipv6_answers_ = policy.exclusions.ipv6_answers;
  runtime->ipv4_destinations_ = policy.exclusions.ipv4_destinations;
  runtime->take_domains(policy.exclusions, previous);
  runtime->limits_ = policy.dns64.limits;
  runtime->fact_limits_.max_ttl = policy.dns64.limits.max_ttl_seconds;
  runtime->fact_limits_.max_negative_ttl = policy.dns64.limits.max_negative_ttl_seconds;
  return std::shared_ptr<const Dns64Runtime>{std::move(runtime)};
}

// The text of large lists is not kept: their hashes tell whether they are still the same.
void Dns64Runtime::take_domains(const Exclusions& exclusions, const Dns64Runtime* previous) {
  lists_ = {.ipv4_destinations = {},
            .ipv6_answers = {},
            .never_synthesize = exclusions.never_synthesize,
            .always_synthesize = exclusions.always_synthesize,
            .never_synthesize_lists = exclusions.never_synthesize_lists,
            .always_synthesize_lists = exclusions.always_synthesize_lists};
  const bool same = previous != nullptr && previous->lists_ == lists_;
  domains_ = same ? previous->domains_ : std::make_shared<const DomainTable>(exclusions);
  for (auto* lists : {&lists_.never_synthesize_lists, &lists_.always_synthesize_lists}) {
    for (auto& list : *lists) list.data.clear();
  }
}

std::optional<std::string> Dns64Runtime::take_prefixes(const Policy& policy, const HealthySet& healthy) {
  // Of those that overlap the longest tells where the IPv4 address lies; of equal ones that in use.
  const auto add = [this](const SitePrefix& site) {
    const auto length = [](const SitePrefix& s) { return s.prefix.length(); };
    site_prefixes_.insert(std::ranges::upper_bound(site_prefixes_, length(site), std::greater<>{}, length),
                          site);
  };
  for (const auto& from : policy.translation_prefixes) {
    auto prefix = compile_prefix(from, healthy);
    if (!prefix) return prefix.error();
    prefixes_.push_back(std::move(*prefix));
    add({from.prefix, from.embed_length()});
  }
  for (const auto& [retired, embed_length] : healthy.retired_prefixes) add({retired, embed_length});
  return std::nullopt;
}

std::optional<std::string> Dns64Runtime::take_views(const Policy& policy, ResolverGroups& groups) {
  for (const auto& from : policy.dns64.views) {
    RuntimeView view;
    view.name = from.name;
    view.aaaa_failure = from.aaaa_failure;
    view.synthesize_https_hints = from.synthesize_https_hints;
    view.steering_ttl = seconds_of(from.steering_ttl);
    view.rebinding_protection = from.rebinding_protection;
    for (const auto& name : from.prefixes)
      for (std::uint32_t i = 0; i < prefixes_.size(); ++i)
        if (prefixes_[i].name == name) view.prefixes.push_back(i);
    const auto resolver = std::find_if(policy.dns64.resolvers.begin(), policy.dns64.resolvers.end(),
                                       [&](const Resolver& r) { return r.name == from.resolver; });
    if (resolver == policy.dns64.resolvers.end())
      return "view " + from.name + ": no resolver named " + from.resolver;
    const auto group = groups.id_of(*resolver);
    if (!group) return std::string{"too many different resolvers since start: restart the service"};
    view.resolver_group = *group;
    for (const auto& zone : resolver->zones)
      if (const auto name = Name::parse(zone.name)) view.local_zones.push_back(*name);
    const auto index = static_cast<std::uint32_t>(views_.size());
    for (const auto& client : from.clients) {
      if (const auto* v6 = std::get_if<Ipv6Prefix>(&client)) clients6_.add(*v6, index);
      if (const auto* v4 = std::get_if<Ipv4Prefix>(&client)) clients4_.add(*v4, index);
    }
    views_.push_back(std::move(view));
  }
  return std::nullopt;
}

const RuntimeView* Dns64Runtime::view_for(const ClientAddress& client, unsigned known) const {
  const auto* v6 = std::get_if<Ipv6Address>(&client);
  const auto index =
      v6 != nullptr ? clients6_.find(*v6, known) : clients4_.find(std::get<Ipv4Address>(client), known);
  return index ? &views_[*index] : nullptr;
}

bool Dns64Runtime::is_excluded_answer(const Ipv6Address& address) const {
  return std::any_of(ipv6_answers_.begin(), ipv6_answers_.end(),
                     [&](const Ipv6Prefix& p) { return p.contains(address); });
}

bool Dns64Runtime::is_excluded_destination(Ipv4Address address) const {
  return std::any_of(ipv4_destinations_.begin(), ipv4_destinations_.end(),
                     [&](const Ipv4Prefix& p) { return p.contains(address); });
}

std::optional<Ipv4Address> Dns64Runtime::embedded_ipv4(const Ipv6Address& address) const {
  for (const auto& site : site_prefixes_)
    if (site.prefix.contains(address) && address.bytes()[8] == 0)  // RFC 6052 §2.2: bits 64-71
      return extract_octets(site.embed_length, address);
  return std::nullopt;
}

}  // namespace isthmus::dns64
