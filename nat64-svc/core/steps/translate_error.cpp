// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/core/steps/translate_error.hpp"

#include "common/rfc6052/embed.hpp"

namespace isthmus::nat64 {
namespace {

// The IPv4 router that sent an error, under the prefix that the client uses.
Ipv6Address seen_as(const Runtime& runtime, Ipv4Address router, const Ipv6Address& server6) {
  for (const auto& p : runtime.prefixes) {
    if (!p.prefix.contains(server6)) continue;
    const auto pref64 = p.embed_length == 96 ? Pref64::make(Ipv6Prefix{server6, 96}) : p.own;
    if (pref64) return embed(*pref64, router);
  }
  return server6;
}

}  // namespace

Result<void, Refusal> translate_error(const Runtime& runtime, PacketBuffer& buffer, const Parsed6& outer,
                                      const Parsed6& inner, const Flow& flow, PathMtu path,
                                      std::uint16_t identification) {
  // A router on the client's side has no IPv4 address: the client's public one stands for it.
  return icmp_error_six_to_four(buffer, outer, inner, flow.four.public4.address, flow.four.server4.address,
                                flow.four, runtime.nat64, path, identification);
}

Result<void, Refusal> translate_error(const Runtime& runtime, PacketBuffer& buffer, const Parsed4& outer,
                                      const Parsed4& inner, const Flow& flow, PathMtu path) {
  return icmp_error_four_to_six(buffer, outer, inner,
                                seen_as(runtime, outer.source, flow.six.server6.address),
                                flow.six.client6.address, flow.six, runtime.nat64, path);
}

}  // namespace isthmus::nat64
