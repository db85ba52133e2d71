// SPDX-License-Identifier: Apache-2.0
#include "common/rfc6052/pref64.hpp"

#include <gtest/gtest.h>

namespace isthmus {
namespace {

TEST(Pref64, OnlySixLengthsExist) {
  const auto address = Ipv6Address::parse("2001:db8::").value();
  for (unsigned length = 0; length <= 128; ++length) {
    const bool legal =
        length == 32 || length == 40 || length == 48 || length == 56 || length == 64 || length == 96;
    EXPECT_EQ(Pref64::make(Ipv6Prefix{address, length}).has_value(), legal) << "/" << length;
  }
}

TEST(Pref64, Bits64To71MustBeZeroInA96) {
  EXPECT_TRUE(Pref64::parse("2001:db8:0:0:00ff::/96"));
  EXPECT_FALSE(Pref64::parse("2001:db8:0:0:0100::/96"));
}

TEST(Pref64, KnowsTheWellKnownPrefix) {
  EXPECT_TRUE(Pref64::parse("64:ff9b::/96")->is_well_known());
  EXPECT_FALSE(Pref64::parse("64:ff9b:1::/96")->is_well_known());
}

}  // namespace
}  // namespace isthmus
