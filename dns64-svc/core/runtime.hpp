// SPDX-License-Identifier: Apache-2.0
// Dns64Runtime: a policy and the healthy set, compiled for answering. Immutable; published to the workers as
// shared_ptr<const Dns64Runtime> and swapped between two queries.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/result.hpp"
#include "common/config/allocation.hpp"
#include "common/config/policy.hpp"
#include "common/rfc6052/embed.hpp"
#include "dns64-svc/core/client_info.hpp"
#include "dns64-svc/core/domain_table.hpp"
#include "dns64-svc/core/fact.hpp"
#include "dns64-svc/core/prefix_table.hpp"
#include "dns64-svc/core/resolver_groups.hpp"

namespace isthmus::dns64 {

// One translation prefix as a view uses it.
struct RuntimePrefix {
  std::string name;  // label of metrics
  bool per_node = false;
  std::vector<Pref64> choices;              // kShared: one. kPerNode: one per healthy node, never empty
  std::vector<std::uint64_t> choice_nodes;  // rendezvous_node() of each choice
  std::vector<Ipv6Prefix> clients;          // none: every client of the view
  std::vector<Ipv4Prefix> ipv4_ranges;
  bool allow_non_global = false;

  // A network of `known` bits when that lies in the list with all its addresses.
  [[nodiscard]] bool serves(const ClientAddress& client, unsigned known = kWholeAddress) const;
  [[nodiscard]] bool serves(Ipv4Address server4) const;  // range and RFC 6052 §3.1
  // The prefix for this client: rendezvous hashing of its /64 over the healthy nodes.
  [[nodiscard]] const Pref64& choose(const ClientAddress& client) const;
};

struct RuntimeView {
  std::string name;
  std::vector<std::uint32_t> prefixes;  // indices into Dns64Runtime::prefixes()
  std::uint16_t resolver_group = 0;
  AaaaFailure aaaa_failure = AaaaFailure::kSynthesize;
  bool synthesize_https_hints = false;
  std::uint32_t steering_ttl = 30;  // seconds
  bool rebinding_protection = false;
  std::vector<Name> local_zones;  // forward and stub zones: private addresses are expected there
};

class Dns64Runtime {
 public:
  // `previous` lends its domain table when the lists are the same. The error is what cannot be run, for a
  // Nack.
  [[nodiscard]] static Result<std::shared_ptr<const Dns64Runtime>, std::string> compile(
      const Policy& policy, const HealthySet& healthy, ResolverGroups& groups,
      const Dns64Runtime* previous = nullptr);

  // Longest client prefix that holds the client, or all of its network of `known` bits; nothing: it is not
  // served.
  [[nodiscard]] const RuntimeView* view_for(const ClientAddress& client,
                                            unsigned known = kWholeAddress) const;
  [[nodiscard]] const std::vector<RuntimeView>& views() const { return views_; }
  [[nodiscard]] const std::vector<RuntimePrefix>& prefixes() const { return prefixes_; }
  [[nodiscard]] std::size_t view_index(const RuntimeView& view) const {
    return static_cast<std::size_t>(&view - views_.data());
  }

  [[nodiscard]] bool is_excluded_answer(const Ipv6Address& address) const;  // RFC 6147 §5.1.4
  [[nodiscard]] bool is_excluded_destination(Ipv4Address address) const;
  [[nodiscard]] DomainRule domain_rule(NameView lower_case) const { return domains_->find(lower_case); }
  // The IPv4 address in `address` when it lies under any translation prefix of the site: those in use,
  // parents with all their nodes, retired ones (RFC 6147 §5.3.1).
  [[nodiscard]] std::optional<Ipv4Address> embedded_ipv4(const Ipv6Address& address) const;

  [[nodiscard]] const FactLimits& fact_limits() const { return fact_limits_; }
  [[nodiscard]] const Dns64Limits& limits() const { return limits_; }

 private:
  struct SitePrefix {
    Ipv6Prefix prefix;
    unsigned embed_length;
  };
  Dns64Runtime() = default;
  // Both give what cannot be run, if anything.
  [[nodiscard]] std::optional<std::string> take_prefixes(const Policy& policy, const HealthySet& healthy);
  void take_domains(const Exclusions& exclusions, const Dns64Runtime* previous);
  [[nodiscard]] std::optional<std::string> take_views(const Policy& policy, ResolverGroups& groups);

  std::vector<RuntimePrefix> prefixes_;
  std::vector<RuntimeView> views_;
  PrefixTable<Ipv6Prefix, Ipv6Address> clients6_;
  PrefixTable<Ipv4Prefix, Ipv4Address> clients4_;
  std::vector<Ipv6Prefix> ipv6_answers_;
  std::vector<Ipv4Prefix> ipv4_destinations_;
  std::vector<SitePrefix> site_prefixes_;
  Exclusions lists_;  // what domains_ was made of, without the text
  std::shared_ptr<const DomainTable> domains_;
  FactLimits fact_limits_;
  Dns64Limits limits_;
};

}  // namespace isthmus::dns64
