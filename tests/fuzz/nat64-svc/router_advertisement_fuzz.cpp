// SPDX-License-Identifier: Apache-2.0
// Any ICMPv6 message: what is read has one of the six lengths and never grows the table beyond its bound.
#include <cstdlib>
#include <span>

#include "nat64-svc/shell/announce/heard_pref64.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace isthmus;
  using namespace isthmus::nat64;
  const auto options = parse_router_advertisement({data, size});
  if (!options) return 0;
  HeardPref64s heard;
  for (const auto& option : *options) {
    if (!Pref64::make(option.prefix.prefix()) || option.lifetime.count() > 0x1fff * 8) std::abort();
    (void)heard.hear(Ipv6Address{}, option, TimePoint{});
  }
  if (heard.at(TimePoint{}).size() > HeardPref64s::kMaxEntries) std::abort();
  return 0;
}
