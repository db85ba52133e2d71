// SPDX-License-Identifier: Apache-2.0
#include "controller/core/in_use.hpp"

#include <algorithm>

namespace isthmus::controller {
namespace {

constexpr std::size_t kNamed = 4;  // addresses named in one violation
constexpr const char* kHowToDrain =
    ": keep it, or let what runs over it end first (isthmusctl apply --drain; for a policy file the "
    "controller's "
    "--in-use drain)";

std::string at(const char* list, std::size_t index) {
  return std::string(list) + "[" + std::to_string(index) + "]";
}

template <class T>
const T* by_name(const std::vector<T>& list, const std::string& name) {
  const auto it = std::ranges::find(list, name, &T::name);
  return it == list.end() ? nullptr : &*it;
}

template <class T>
std::string path_of(const char* list, const std::vector<T>& all, const std::string& name, const char* field) {
  const auto it = std::ranges::find(all, name, &T::name);
  return it == all.end() ? list : at(list, static_cast<std::size_t>(it - all.begin())) + field;
}

bool leased_from(const Policy& policy, Ipv4Address address) {
  return std::ranges::any_of(policy.pools, [&](const Pool& pool) {
    return pool.kind == PoolKind::kLeased &&
           std::ranges::any_of(pool.addresses, [&](const auto& prefix) { return prefix.contains(address); });
  });
}

void check_pool(const Pool& pool, const Policy& next, const LeaseTable& leases, bool drain,
                std::vector<Violation>& out) {
  std::vector<const Lease*> gone;
  bool held = false;
  for (const auto& [address, lease] : leases.leases()) {
    if (lease.pool != pool.name || !lease.held()) continue;
    held = true;
    if (!leased_from(next, address)) gone.push_back(&lease);
  }
  const Pool* kept = by_name(next.pools, pool.name);
  if (held && kept != nullptr && kept->subscribers.prefix_length != pool.subscribers.prefix_length) {
    out.push_back({path_of("pools", next.pools, pool.name, ".subscribers.prefix_length"),
                   "cannot change from " + std::to_string(pool.subscribers.prefix_length) +
                       " while nodes hold addresses of the pool: make a pool of another name and move the "
                       "addresses there"});
  }
  if (gone.empty() || drain) return;
  std::string names;
  for (std::size_t i = 0; i < std::min(gone.size(), kNamed); ++i) {
    names += (i == 0 ? "" : ", ") + gone[i]->address.to_string() + " (" + gone[i]->holder.node_id + ")";
  }
  if (gone.size() > kNamed) names += " and " + std::to_string(gone.size() - kNamed) + " more";
  out.push_back({path_of("pools", next.pools, pool.name, ".addresses"), "in use: " + names + kHowToDrain});
}

void check_prefix(const TranslationPrefix& prefix, const Policy& next, bool drain,
                  std::vector<Violation>& out) {
  const auto same = std::ranges::find_if(next.translation_prefixes, [&](const TranslationPrefix& other) {
    return other.prefix == prefix.prefix && other.assignment == prefix.assignment;
  });
  if (same != next.translation_prefixes.end()) return;
  const auto* renamed = by_name(next.translation_prefixes, prefix.name);
  if (renamed != nullptr) {
    out.push_back(
        {path_of("translation_prefixes", next.translation_prefixes, prefix.name, ".prefix"),
         "cannot change from " + prefix.prefix.to_string() +
             " while clients use it: give the new prefix a new name, so that both can be translated "
             "while answers move"});
  } else if (!drain) {
    out.push_back({"translation_prefixes",
                   prefix.name + " (" + prefix.prefix.to_string() + ") is missing and in use" + kHowToDrain});
  }
}

}  // namespace

std::vector<Violation> taken_from_use(const Policy& running, const Policy& next, const LeaseTable& leases,
                                      bool nat64_known, bool drain) {
  std::vector<Violation> out;
  for (const auto& pool : running.pools) {
    if (pool.kind == PoolKind::kLeased) check_pool(pool, next, leases, drain, out);
  }
  if (!nat64_known) return out;
  for (const auto& prefix : running.translation_prefixes) check_prefix(prefix, next, drain, out);
  return out;
}

}  // namespace isthmus::controller
