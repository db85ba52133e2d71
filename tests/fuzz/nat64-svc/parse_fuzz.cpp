// SPDX-License-Identifier: Apache-2.0
// Any bytes: what parses keeps its promises about lengths.
#include <cstdlib>

#include "nat64-svc/core/packet/parse.hpp"

namespace {

using namespace isthmus::nat64;

void require(bool ok) {
  if (!ok) std::abort();
}

void check(const Parsed& p, std::size_t size, Whole whole) {
  require(std::size_t{p.l4_offset} + p.l4_length <= size);
  require(p.l4_length <= p.l4_claimed);
  if (whole == Whole::kYes) require(p.l4_length == p.l4_claimed);
  if (p.kind == Kind::kLaterFragment) return;
  require(p.l4_length >= 8);
  if (p.kind == Kind::kTransport && p.protocol == isthmus::Protocol::kTcp && whole == Whole::kYes)
    require(p.l4_length >= 20);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span bytes{data, size};
  for (const auto whole : {Whole::kYes, Whole::kInsideError}) {
    if (const auto p = parse_ipv6(bytes, whole)) check(*p, size, whole);
    if (const auto p = parse_ipv4(bytes, whole)) check(*p, size, whole);
  }
  return 0;
}
