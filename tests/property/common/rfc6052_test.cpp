// SPDX-License-Identifier: Apache-2.0
// extract(embed(a)) == a for every prefix length, over many addresses.
#include <gtest/gtest.h>

#include <random>

#include "common/rfc6052/embed.hpp"

namespace isthmus {
namespace {

TEST(Rfc6052Property, ExtractUndoesEmbedAtAllSixLengths) {
  std::mt19937_64 random{20260101};
  for (const unsigned length : {32U, 40U, 48U, 56U, 64U, 96U}) {
    for (int round = 0; round < 20000; ++round) {
      auto address = Ipv6Address::from_halves(random(), length == 96 ? random() & 0x00ffffffffffffffULL : 0);
      const auto pref64 = Pref64::make(Ipv6Prefix{address, length}).value();
      const Ipv4Address v4{static_cast<std::uint32_t>(random())};
      const auto v6 = embed(pref64, v4);
      ASSERT_EQ(v6.bytes()[8], 0) << "bits 64-71, RFC 6052 §2.2";
      ASSERT_TRUE(pref64.contains(v6));
      ASSERT_EQ(extract(pref64, v6), v4) << pref64.to_string();
    }
  }
}

}  // namespace
}  // namespace isthmus
