// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/core/domain_table.hpp"

#include <algorithm>

#include "common/net/keyed_hash.hpp"

namespace isthmus::dns64 {
namespace {

// Not keyed per process: the table is the operator's, and clients cannot add to it.
constexpr std::uint64_t kRootHash = 0x2545f4914f6cdd1dULL;

std::uint64_t extend(std::uint64_t hash, NameView label) {
  return mix(hash ^ keyed_hash(HashKey{}, label), 0x9e3779b97f4a7c15ULL);
}

// Offsets of a name's labels, first to last; gives how many.
std::size_t labels_of(NameView name, std::array<std::uint8_t, 128>& offsets) {
  std::size_t count = 0;
  for (std::size_t at = 0; name[at] != 0; at += name[at] + 1U)
    offsets[count++] = static_cast<std::uint8_t>(at);
  return count;
}

}  // namespace

DomainTable::DomainTable(const Exclusions& exclusions) {
  slots_.resize(16);
  for (const auto& domain : exclusions.never_synthesize) add(domain, DomainRule::kNeverSynthesize);
  add(exclusions.never_synthesize_lists, DomainRule::kNeverSynthesize);
  for (const auto& domain : exclusions.always_synthesize) add(domain, DomainRule::kAlwaysSynthesize);
  add(exclusions.always_synthesize_lists, DomainRule::kAlwaysSynthesize);
}

void DomainTable::add(const std::vector<DomainList>& lists, DomainRule rule) {
  for (const auto& list : lists) {
    for (const auto& data : list.data) {
      for (std::string_view rest{*data}; !rest.empty();) {
        const auto end = std::min(rest.find('\n'), rest.size());
        add(rest.substr(0, end), rule);
        rest.remove_prefix(std::min(end + 1, rest.size()));
      }
    }
  }
}

void DomainTable::grow() {
  if ((size_ + 1) * 3 <= slots_.size() * 2) return;
  std::vector<Slot> old(slots_.size() * 2);
  old.swap(slots_);
  for (const auto& slot : old) {
    if (slot.at == 0) continue;
    std::size_t i = slot.hash & (slots_.size() - 1);
    while (slots_[i].at != 0) i = (i + 1) & (slots_.size() - 1);
    slots_[i] = slot;
  }
}

void DomainTable::add(std::string_view domain, DomainRule rule) {
  auto name = Name::parse(domain);
  if (!name) return;  // validation has refused these
  name->fold();
  if (name->is_root()) {
    if (root_rule_ == DomainRule::kNone) root_rule_ = rule;
    return;
  }
  std::array<std::uint8_t, 128> offsets;
  auto hash = kRootHash;
  for (std::size_t i = labels_of(name->view(), offsets); i > 0; --i)
    hash = extend(hash, name->view().subspan(offsets[i - 1], name->view()[offsets[i - 1]] + 1U));
  grow();
  const auto short_hash = static_cast<std::uint32_t>(hash);
  std::size_t i = short_hash & (slots_.size() - 1);
  for (; slots_[i].at != 0; i = (i + 1) & (slots_.size() - 1)) {
    const auto at = slots_[i].at - 1;
    if (slots_[i].hash == short_hash && equal_names({&arena_[at + 2], arena_[at + 1]}, name->view())) return;
  }
  slots_[i] = {static_cast<std::uint32_t>(arena_.size() + 1), short_hash};
  arena_.push_back(static_cast<std::uint8_t>(rule));
  arena_.push_back(static_cast<std::uint8_t>(name->size()));
  arena_.insert(arena_.end(), name->view().begin(), name->view().end());
  ++size_;
}

DomainRule DomainTable::find(NameView name) const {
  auto rule = root_rule_;
  if (size_ == 0) return rule;
  std::array<std::uint8_t, 128> offsets;
  auto hash = kRootHash;
  for (std::size_t l = labels_of(name, offsets); l > 0;
       --l) {  // from the root down: the last hit is the longest
    const auto suffix = name.subspan(offsets[l - 1]);
    hash = extend(hash, suffix.first(suffix[0] + 1U));
    const auto short_hash = static_cast<std::uint32_t>(hash);
    for (std::size_t i = short_hash & (slots_.size() - 1); slots_[i].at != 0;
         i = (i + 1) & (slots_.size() - 1)) {
      const auto at = slots_[i].at - 1;
      if (slots_[i].hash != short_hash || arena_[at + 1] != suffix.size() ||
          !std::equal(suffix.begin(), suffix.end(), arena_.begin() + at + 2))
        continue;
      rule = static_cast<DomainRule>(arena_[at]);
      break;
    }
  }
  return rule;
}

}  // namespace isthmus::dns64
