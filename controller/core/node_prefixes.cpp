// SPDX-License-Identifier: Apache-2.0
#include "controller/core/node_prefixes.hpp"

#include <algorithm>

namespace isthmus::controller {
namespace {

constexpr unsigned kNodePrefixLength = 96;
constexpr std::uint64_t kMaxSlots = 65536;  // of a wide parent the first ones are used

std::uint64_t hash(const std::string& text) {
  std::uint64_t state = 0xcbf29ce484222325ULL;  // FNV-1a: stable across machines and versions
  for (const char c : text) state = (state ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return state ^ state >> 29;
}

std::uint64_t slots(const Ipv6Prefix& parent) {
  const unsigned bits = kNodePrefixLength - parent.length();
  return bits >= 16 ? kMaxSlots : std::uint64_t{1} << bits;
}

// RFC 6052 §2.2: bits 64 to 71 of the prefix stay zero, so slots are counted in bits 72-95 only when the
// parent is that long or there is room below them: 16 bits always fit in 80-95.
Ipv6Prefix slot_prefix(const Ipv6Prefix& parent, std::uint64_t slot) {
  const auto& address = parent.address();
  return {Ipv6Address::from_halves(address.high(), address.low() | slot << 32), kNodePrefixLength};
}

}  // namespace

void NodePrefixes::set_policies(const std::vector<const Policy*>& policies) {
  std::map<Ipv6Prefix, Parent> next;
  for (const auto* policy : policies) {
    for (const auto& prefix : policy->translation_prefixes) {
      if (prefix.assignment != Assignment::kPerNode || next.contains(prefix.prefix)) continue;
      const auto old = parents_.find(prefix.prefix);
      next.emplace(prefix.prefix, old == parents_.end() ? Parent{} : std::move(old->second));
    }
  }
  parents_ = std::move(next);
}

std::vector<NodePrefix> NodePrefixes::of(const std::string& node_id, const Policy& policy) {
  std::vector<NodePrefix> result;
  for (const auto& prefix : policy.translation_prefixes) {
    const auto parent = parents_.find(prefix.prefix);
    if (prefix.assignment != Assignment::kPerNode || parent == parents_.end()) continue;
    auto& [slot_of, taken] = parent->second;
    const std::uint64_t count = slots(prefix.prefix);
    auto it = slot_of.find(node_id);
    if (it == slot_of.end()) {
      if (taken.size() >= count) continue;
      std::uint64_t slot = hash(node_id) % count;
      while (taken.contains(slot)) slot = (slot + 1) % count;
      taken.insert(slot);
      it = slot_of.emplace(node_id, slot).first;
    }
    if (const auto pref64 = Pref64::make(slot_prefix(prefix.prefix, it->second))) {
      result.push_back({.translation_prefix = prefix.name, .prefix = *pref64, .node_id = node_id});
    }
  }
  return result;
}

void NodePrefixes::forget(const std::string& node_id) {
  for (auto& [prefix, parent] : parents_) {
    const auto it = parent.slot_of.find(node_id);
    if (it == parent.slot_of.end()) continue;
    parent.taken.erase(it->second);
    parent.slot_of.erase(it);
  }
}

}  // namespace isthmus::controller
