// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/xsk/quick_targets.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

namespace isthmus::nat64 {
namespace {

struct Range {  // both ends included
  std::uint32_t first, last;
};

std::vector<Range> joined(const std::set<Ipv4Prefix>& addresses) {
  std::vector<Range> ranges;
  for (const auto& prefix : addresses) {  // by first address
    const Range next{prefix.address().value(), prefix.last().value()};
    if (!ranges.empty() && std::uint64_t{next.first} <= std::uint64_t{ranges.back().last} + 1)
      ranges.back().last = std::max(ranges.back().last, next.last);
    else
      ranges.push_back(next);
  }
  return ranges;
}

void store_words(const Ipv6Address& address, __u64 (&words)[2]) {
  std::uint8_t bytes[16];
  address.store(bytes);
  std::memcpy(words, bytes, sizeof bytes);
}

}  // namespace

steer_quick quick_targets(const std::set<Ipv6Prefix>& prefixes, const std::set<Ipv4Prefix>& addresses) {
  steer_quick quick{};
  for (auto& unused : quick.prefixes6) unused.address[0] = 1;  // under a mask of zeros
  for (auto& unused : quick.ranges4) unused.first = 1;

  std::vector<Ipv6Prefix> six(prefixes.begin(), prefixes.end());
  std::ranges::stable_sort(six, {}, &Ipv6Prefix::length);
  for (std::size_t i = 0; i < std::min<std::size_t>(six.size(), STEER_QUICK); ++i) {
    store_words(six[i].address(), quick.prefixes6[i].address);
    // The mask of a prefix is the prefix of all ones.
    store_words(
        Ipv6Prefix{Ipv6Address::from_halves(~std::uint64_t{0}, ~std::uint64_t{0}), six[i].length()}.address(),
        quick.prefixes6[i].mask);
  }

  auto four = joined(addresses);
  std::ranges::stable_sort(four, std::greater<>{}, [](const Range& r) { return r.last - r.first; });
  for (std::size_t i = 0; i < std::min<std::size_t>(four.size(), STEER_QUICK); ++i)
    quick.ranges4[i] = {four[i].first, four[i].last};
  return quick;
}

}  // namespace isthmus::nat64
