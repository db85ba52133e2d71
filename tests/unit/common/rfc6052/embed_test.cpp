// SPDX-License-Identifier: Apache-2.0
#include "common/rfc6052/embed.hpp"

#include <gtest/gtest.h>

namespace isthmus {
namespace {

struct Row {
  const char* prefix;
  const char* embedded;
};

// RFC 6052 §2.4, Table 2 and Table 3: 192.0.2.33 under each prefix.
constexpr Row kRfc6052Section24[] = {
    {"2001:db8::/32", "2001:db8:c000:221::"},
    {"2001:db8:100::/40", "2001:db8:1c0:2:21::"},
    {"2001:db8:122::/48", "2001:db8:122:c000:2:2100::"},
    {"2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::"},
    {"2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100:0"},
    {"2001:db8:122:344::/96", "2001:db8:122:344::192.0.2.33"},
    {"64:ff9b::/96", "64:ff9b::192.0.2.33"},
};

TEST(Embed, Rfc6052Section24BothWays) {
  const Ipv4Address v4{192, 0, 2, 33};
  for (const auto& row : kRfc6052Section24) {
    const auto pref64 = Pref64::parse(row.prefix).value();
    const auto v6 = Ipv6Address::parse(row.embedded).value();
    EXPECT_EQ(embed(pref64, v4), v6) << row.prefix;
    EXPECT_EQ(extract(pref64, v6), v4) << row.prefix;
  }
}

TEST(Extract, OutsideThePrefixIsNothing) {
  EXPECT_FALSE(extract(Pref64::well_known(), Ipv6Address::parse("64:ff9b:0:1::c000:221").value()));
}

TEST(Extract, NonZeroBits64To71AreNotAnEmbeddedAddress) {
  const auto pref64 = Pref64::parse("2001:db8::/32").value();
  EXPECT_FALSE(extract(pref64, Ipv6Address::parse("2001:db8:c000:221:100::").value()));
}

TEST(Extract, SuffixIsIgnored) {
  // RFC 6052 §2.2: suffix bits are reserved; receivers SHOULD ignore them.
  const auto pref64 = Pref64::parse("2001:db8::/32").value();
  EXPECT_EQ(extract(pref64, Ipv6Address::parse("2001:db8:c000:221:0:dead:beef:1").value()),
            (Ipv4Address{192, 0, 2, 33}));
}

}  // namespace
}  // namespace isthmus
