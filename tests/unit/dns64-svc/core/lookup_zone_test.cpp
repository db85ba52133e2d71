// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/core/lookup_zone.hpp"

#include <gtest/gtest.h>

#include <string>

namespace isthmus::dns64 {
namespace {

std::string zone_of(const std::string& name) {
  return name_to_string(lookup_zone(Name::parse(name).value().view()));
}

TEST(LookupZone, IsTwoLabels) {
  EXPECT_EQ(zone_of("a.b.example.org."), "example.org.");
  EXPECT_EQ(zone_of("example.org."), "example.org.");
  EXPECT_EQ(zone_of("org."), "org.");
  EXPECT_EQ(zone_of("."), ".");
  EXPECT_EQ(zone_of("x.home.arpa."), "home.arpa.");
}

TEST(LookupZone, OfAReverseNameIsWhatARegistryDelegates) {
  EXPECT_EQ(zone_of("33.0.51.198.in-addr.arpa."), "51.198.in-addr.arpa.");
  EXPECT_EQ(zone_of("198.in-addr.arpa."), "198.in-addr.arpa.");
  EXPECT_EQ(zone_of("1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa."),
            "8.b.d.0.1.0.0.2.ip6.arpa.");
  EXPECT_EQ(zone_of("2.ip6.arpa."), "2.ip6.arpa.");
}

}  // namespace
}  // namespace isthmus::dns64
