// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/target_conflict.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/built_view.hpp"

namespace isthmus::nat64 {
namespace {

using test::BuiltView;
using ::testing::HasSubstr;

constexpr int kLan = 2, kWan = 3;

class TargetConflict : public ::testing::Test {
 protected:
  TargetConflict() {
    Interface lan;
    lan.index = kLan;
    lan.addresses6 = {*Ipv6Address::parse("2001:db8:64::1")};
    view.add(lan);
    Interface wan;
    wan.index = kWan;
    wan.addresses4 = {Ipv4Address{192, 0, 2, 9}};
    view.add(wan);
    view.add(Ipv4Prefix{}, {RouteKind::kUnicast, 0, kWan, IpAddress{Ipv4Address{192, 0, 2, 1}}});
  }
  [[nodiscard]] std::optional<Violation> conflict(const char* prefix, const char* address,
                                                  std::optional<int> arp = std::nullopt) const {
    return target_conflict(view, {*Ipv6Prefix::parse(prefix)}, {*Ipv4Prefix::parse(address)}, arp);
  }
  BuiltView view;
};

TEST_F(TargetConflict, AddressesOfNobodyHereAreNone) {
  EXPECT_EQ(conflict("64:ff9b::/96", "203.0.113.1/32"), std::nullopt);
  EXPECT_EQ(conflict("64:ff9b::/96", "192.0.2.10/32", kWan), std::nullopt);
}

TEST_F(TargetConflict, AnIpv4AddressOfTheGatewayItselfIsRefused) {
  const auto found = conflict("64:ff9b::/96", "192.0.2.9/32");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->path, "pools");
  EXPECT_THAT(found->message, HasSubstr("192.0.2.9 is an address of this gateway"));
}

TEST_F(TargetConflict, APrefixAroundAnIpv6AddressOfTheGatewayItselfIsRefused) {
  const auto found = conflict("2001:db8:64::/48", "203.0.113.1/32");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->path, "translation_prefixes");
  EXPECT_THAT(found->message, HasSubstr("2001:db8:64::/48 contains 2001:db8:64::1"));
}

TEST_F(TargetConflict, ARouterOnTheLinkWhereWeAnswerArpIsRefused) {
  const auto found = conflict("64:ff9b::/96", "192.0.2.1/32", kWan);
  ASSERT_TRUE(found);
  EXPECT_THAT(found->message, HasSubstr("192.0.2.1 is a router"));
  EXPECT_EQ(conflict("64:ff9b::/96", "192.0.2.1/32"), std::nullopt) << "without ARP nobody is misled";
  EXPECT_EQ(conflict("64:ff9b::/96", "192.0.2.1/32", kLan), std::nullopt);
}

}  // namespace
}  // namespace isthmus::nat64
