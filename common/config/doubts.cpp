// SPDX-License-Identifier: Apache-2.0
#include "common/config/doubts.hpp"

#include <algorithm>
#include <cctype>
#include <string>
#include <string_view>

namespace isthmus {
namespace {

// "Example.COM." and "example.com" as "example.com."; the root as ".".
std::string canonical(std::string_view name) {
  std::string out{name};
  std::ranges::transform(out, out.begin(), [](char c) {
    return static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  });
  if (!out.ends_with('.')) out += '.';
  return out;
}

bool is_at_or_below(const std::string& name, const std::string& ancestor) {
  return ancestor == "." || name == ancestor || name.ends_with("." + ancestor);
}

// Of these names the longest that `zone` is at or below; empty: none.
std::string closest(const std::string& zone, const std::vector<std::string>& names) {
  std::string found;
  for (const auto& text : names) {
    const auto name =
        canonical(text.substr(0, text.find_first_of(" \t")));  // of a DS or DNSKEY line: the owner
    if (is_at_or_below(zone, name) && name.size() > found.size()) found = name;
  }
  return found;
}

// RFC 4035 §5.2: what is below a trust anchor is proven to be delegated without DS, or it is bogus. A zone
// that the site's servers alone know is not delegated at all, and a signed parent says so.
bool is_denied_by_a_parent(const Resolver& resolver, const Zone& zone) {
  if (!resolver.dnssec) return false;
  const auto name = canonical(zone.name);
  const auto trusted = resolver.trust_anchors.empty() ? "." : closest(name, resolver.trust_anchors);
  if (trusted.empty() || trusted == name) return false;
  return closest(name, resolver.negative_trust_anchors).size() < trusted.size();
}

}  // namespace

std::vector<Violation> doubts_about(const Policy& policy) {
  std::vector<Violation> out;
  const auto& resolvers = policy.dns64.resolvers;
  for (std::size_t r = 0; r < resolvers.size(); ++r) {
    for (std::size_t z = 0; z < resolvers[r].zones.size(); ++z) {
      const auto& zone = resolvers[r].zones[z];
      if (!is_denied_by_a_parent(resolvers[r], zone)) continue;
      out.push_back({"dns64.resolvers[" + std::to_string(r) + "].zones[" + std::to_string(z) + "]",
                     "`" + zone.name +
                         "` is validated: unless the zones above it delegate it, every name in it fails "
                         "(SERVFAIL). A private zone belongs into negative_trust_anchors too"});
    }
  }
  return out;
}

}  // namespace isthmus
