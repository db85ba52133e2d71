// SPDX-License-Identifier: Apache-2.0
#include "common/config/doubts.hpp"

#include <string>

#include "common/config/checker.hpp"

namespace isthmus {
namespace {

bool is_at_or_below(const std::string& name, const std::string& ancestor) {
  return ancestor == "." || name == ancestor || name.ends_with("." + ancestor);
}

// Of these names the longest that `zone` is at or below; empty: none.
std::string closest(const std::string& zone, const std::vector<std::string>& names) {
  std::string found;
  for (const auto& name : names)
    if (is_at_or_below(zone, name) && name.size() > found.size()) found = name;
  return found;
}

// Of DS and DNSKEY lines.
std::vector<std::string> owners_of(const std::vector<std::string>& lines) {
  Checker check;  // what is no name is no anchor of anything
  std::vector<std::string> out;
  for (const auto& line : lines)
    if (auto owner = check.domain(line.substr(0, line.find_first_of(" \t")), {}))
      out.push_back(std::move(*owner));
  return out;
}

// RFC 4035 §5.2: what is below a trust anchor is proven to be delegated without DS, or it is bogus. A zone
// that the site's servers alone know is not delegated at all, and a signed parent says so.
bool is_denied_by_a_parent(const Resolver& resolver, const Zone& zone) {
  if (!resolver.dnssec) return false;
  const auto trusted =
      resolver.trust_anchors.empty() ? "." : closest(zone.name, owners_of(resolver.trust_anchors));
  if (trusted.empty() || trusted == zone.name) return false;
  return closest(zone.name, resolver.negative_trust_anchors).size() < trusted.size();
}

}  // namespace

std::vector<Violation> doubts_about(const Policy& policy) {
  std::vector<Violation> out;
  for (int r = 0; const auto& resolver : policy.dns64.resolvers) {
    const auto zones = at("dns64.resolvers", r++) + ".zones";
    for (int z = 0; const auto& zone : resolver.zones) {
      const auto path = at(zones, z++);
      if (!is_denied_by_a_parent(resolver, zone)) continue;
      out.push_back(
          {path, "`" + zone.name +
                     "` is validated: unless the zones above it delegate it, every name in it fails "
                     "(SERVFAIL). A private zone belongs into negative_trust_anchors too"});
    }
  }
  return out;
}

}  // namespace isthmus
