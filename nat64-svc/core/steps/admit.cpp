// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/core/steps/admit.hpp"

#include <algorithm>

#include "common/net/special_ranges.hpp"
#include "common/rfc6052/embed.hpp"
#include "nat64-svc/core/packet/parsed.hpp"

namespace isthmus::nat64 {
namespace {

bool any_contains(const auto& prefixes, const auto& address) {
  return std::ranges::any_of(prefixes, [&](const auto& p) { return p.contains(address); });
}

// Which rule of the prefix forbids the pair, if one does.
std::optional<DropReason> forbids(const RuntimePrefix& prefix, const Ipv6Address& client6,
                                  Ipv4Address server4) {
  if (!any_contains(prefix.clients, client6)) return DropReason::kClientNotAllowed;
  if (!any_contains(prefix.ipv4_ranges, server4)) return DropReason::kOutsideIpv4Ranges;
  // RFC 6052 §3.1: not in the well-known prefix; elsewhere the operator may say otherwise.
  if (!prefix.allow_non_global && is_non_global(server4)) return DropReason::kNonGlobal;
  return std::nullopt;
}

// Never a unicast peer, whatever the policy allows.
bool is_no_unicast_host(Ipv4Address a) {
  return a.value() >> 28 >= 0xe || a.value() >> 24 == 0 || a.value() >> 24 == 127;
}
// ::/64 has the unspecified and loopback addresses, and IPv4 ones in disguise.
bool is_no_unicast_host(const Ipv6Address& a) {
  return a.is_multicast() || a.is_link_local() || a.high() == 0;
}

}  // namespace

bool is_in_a_prefix(const Runtime& runtime, const Ipv6Address& address) {
  return std::ranges::any_of(runtime.prefixes, [&](const auto& p) { return p.prefix.contains(address); });
}

bool comes_from_a_prefix(const Runtime& runtime, std::span<const std::uint8_t> packet) {
  return packet.size() >= kIpv6Header && is_in_a_prefix(runtime, Ipv6Address::load(&packet[8]));
}

Result<Ipv4Address, Refusal> admit(const Runtime& runtime, const Ipv6Address& client6,
                                   const Ipv6Address& server6) {
  constexpr IcmpError kProhibited{icmp6::kUnreachable, icmp6::kProhibited, 0};
  if (is_no_unicast_host(client6)) return failure(Refusal{DropReason::kBadAddress});  // RFC 7915 §5.1
  // RFC 6146 §3.5: a source inside Pref64::/n would be a hairpin loop.
  if (is_in_a_prefix(runtime, client6)) return failure(Refusal{DropReason::kSourceInPrefix});
  const auto prefix =
      std::ranges::find_if(runtime.prefixes, [&](const auto& p) { return p.prefix.contains(server6); });
  if (prefix == runtime.prefixes.end()) return failure(Refusal{DropReason::kNotInPrefix});
  if (server6.bytes()[8] != 0) return failure(Refusal{DropReason::kBadEmbedding});  // RFC 6052 §2.2
  const Ipv4Address server4 = extract_octets(prefix->embed_length, server6);
  if (const auto reason = forbids(*prefix, client6, server4)) return failure(Refusal{*reason, kProhibited});
  if (runtime.exclusions.contains(server4)) return failure(Refusal{DropReason::kExcluded, kProhibited});
  if (is_no_unicast_host(server4)) return failure(Refusal{DropReason::kBadAddress});
  return server4;
}

Result<Ipv6Address, Refusal> represent(const Runtime& runtime, const Ipv6Address& client6,
                                       Ipv4Address server4) {
  if (is_no_unicast_host(server4)) return failure(Refusal{DropReason::kBadAddress});  // RFC 1812 §5.3.7
  if (runtime.exclusions.contains(server4)) return failure(Refusal{DropReason::kExcluded});
  for (const auto& p : runtime.prefixes) {
    if (!forbids(p, client6, server4)) return embed(*p.own, server4);
  }
  return failure(Refusal{DropReason::kNoPrefixForPeer});
}

}  // namespace isthmus::nat64
