// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/announce/heard_pref64.hpp"

#include <algorithm>
#include <array>

#include "common/net/byte_reader.hpp"

namespace isthmus::nat64 {
namespace {

constexpr std::uint8_t kRouterAdvertisement = 134;  // RFC 4861 §4.2
constexpr std::size_t kHeader = 16;
constexpr std::uint8_t kPref64 = 38;                                 // RFC 8781 §4
constexpr std::array<unsigned, 6> kLengths{96, 64, 56, 48, 40, 32};  // by Prefix Length Code

// `option` begins after type and length.
std::optional<Pref64Option> parse_pref64(ByteReader option) {
  const auto lifetime_and_code = option.u16();
  const auto octets = option.span(12);
  const std::size_t code = lifetime_and_code & 7U;
  if (!option.ok() || option.remaining() != 0 || code >= kLengths.size()) return std::nullopt;
  std::array<std::uint8_t, 16> address{};
  std::ranges::copy(octets, address.begin());
  const auto prefix = Pref64::make(Ipv6Prefix{Ipv6Address{address}, kLengths[code]});
  if (!prefix) return std::nullopt;
  constexpr unsigned kScale = 8;  // §4: in units of 8 seconds, in the upper 13 bits
  return Pref64Option{*prefix, std::chrono::seconds{(lifetime_and_code >> 3U) * kScale}};
}

}  // namespace

std::optional<std::vector<Pref64Option>> parse_router_advertisement(std::span<const std::uint8_t> message) {
  ByteReader reader(message);
  if (reader.u8() != kRouterAdvertisement) return std::nullopt;
  reader.seek(kHeader);
  std::vector<Pref64Option> found;
  while (reader.ok() && reader.remaining() > 0) {
    const auto type = reader.u8();
    const std::size_t length = reader.u8() * std::size_t{8};
    if (length == 0) return std::nullopt;  // RFC 4861 §6.1.2: a packet with such an option is discarded
    const auto rest = reader.span(length - 2);
    if (!reader.ok()) break;
    if (type != kPref64) continue;
    if (const auto option = parse_pref64(ByteReader(rest))) found.push_back(*option);
  }
  if (!reader.ok()) return std::nullopt;
  return found;
}

bool HeardPref64s::hear(const Ipv6Address& router, const Pref64Option& option, TimePoint now) {
  std::erase_if(until_, [&](const auto& each) { return each.second <= now; });
  const Entry entry{router, option.prefix};
  if (option.lifetime.count() == 0) {
    until_.erase(entry);
    return false;
  }
  const bool is_new = until_.insert_or_assign(entry, now + option.lifetime).second;
  if (until_.size() <= kMaxEntries) return is_new;
  const auto first = std::ranges::min_element(until_, {}, [](const auto& each) { return each.second; });
  const bool was_it = first->first == entry;
  until_.erase(first);
  return is_new && !was_it;
}

std::vector<HeardPref64s::Entry> HeardPref64s::at(TimePoint now) const {
  std::vector<Entry> entries;
  for (const auto& [entry, until] : until_) {
    if (until > now) entries.push_back(entry);
  }
  return entries;
}

bool is_ours(const Pref64& prefix, const Policy& policy) {
  return std::ranges::any_of(policy.translation_prefixes, [&](const TranslationPrefix& each) {
    if (each.assignment == Assignment::kShared) return each.prefix == prefix.prefix();
    return prefix.length() == each.embed_length() && each.prefix.contains(prefix.prefix().address());
  });
}

}  // namespace isthmus::nat64
