// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/target_conflict.hpp"

namespace isthmus::nat64 {
namespace {

constexpr const char* kOtherAddresses = ": leave it out of pools[].addresses";

std::optional<Violation> own_address(const Interface& interface, const std::set<Ipv6Prefix>& prefixes,
                                     const std::set<Ipv4Prefix>& addresses) {
  for (const auto& own : interface.addresses4) {
    if (!addresses.contains(Ipv4Prefix{own, 32})) continue;
    return Violation{"pools", own.to_string() + " is an address of this gateway itself" + kOtherAddresses +
                                  ", or take it off the interface"};
  }
  for (const auto& own : interface.addresses6) {
    for (const auto& prefix : prefixes) {
      if (!prefix.contains(own)) continue;
      return Violation{"translation_prefixes", prefix.to_string() + " contains " + own.to_string() +
                                                   ", an address of this gateway itself: give the interface "
                                                   "one outside"};
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<Violation> target_conflict(const NetworkView& view, const std::set<Ipv6Prefix>& prefixes,
                                         const std::set<Ipv4Prefix>& addresses,
                                         std::optional<int> arp_interface) {
  for (const auto& [index, interface] : view.interfaces()) {
    if (auto conflict = own_address(interface, prefixes, addresses)) return conflict;
  }
  if (!arp_interface) return std::nullopt;
  std::optional<Violation> conflict;
  view.for_each_route4([&](const Route& route) {
    const auto* router = route.gateway ? std::get_if<Ipv4Address>(&*route.gateway) : nullptr;
    if (router == nullptr || route.interface != *arp_interface ||
        !addresses.contains(Ipv4Prefix{*router, 32}))
      return;
    conflict =
        Violation{"pools", router->to_string() + " is a router on the link where --answer-arp answers" +
                               kOtherAddresses};
  });
  return conflict;
}

}  // namespace isthmus::nat64
