// SPDX-License-Identifier: Apache-2.0
#include "controller/core/in_use.hpp"

#include <gmock/gmock.h>

namespace isthmus::controller {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class InUse : public testing::Test {
 protected:
  InUse() {
    running.pools.resize(1);
    running.pools[0].name = "public";
    running.pools[0].addresses = {*Ipv4Prefix::parse("203.0.113.0/30")};
    running.pools[0].subscribers.prefix_length = 64;
    running.translation_prefixes.resize(1);
    running.translation_prefixes[0].name = "main";
    running.translation_prefixes[0].prefix = *Ipv6Prefix::parse("64:ff9b::/96");
    leases.set_pools(running.pools, now);
    EXPECT_TRUE(leases.grant({203, 0, 113, 1}, {"gw1", "m"}, now));
    next = running;
  }
  [[nodiscard]] std::vector<Violation> found(bool nat64_known = true) const {
    return taken_from_use(running, next, leases, nat64_known, drain);
  }

  TimePoint now{std::chrono::seconds{100}};
  LeaseTable leases;
  Policy running, next;
  bool drain = false;
};

TEST_F(InUse, TheSamePolicyTakesNothing) {
  EXPECT_THAT(found(), IsEmpty());
}

TEST_F(InUse, AHeldAddressThatLeavesIsNamedWithItsHolder) {
  next.pools[0].addresses = {*Ipv4Prefix::parse("203.0.113.2/31")};
  const auto violations = found();
  ASSERT_THAT(violations, SizeIs(1));
  EXPECT_EQ("pools[0].addresses", violations[0].path);
  EXPECT_THAT(violations[0].message, HasSubstr("203.0.113.1 (gw1)"));
  drain = true;
  EXPECT_THAT(found(), IsEmpty());
}

TEST_F(InUse, AnAddressThatNobodyHoldsMayGo) {
  next.pools[0].addresses = {*Ipv4Prefix::parse("203.0.113.0/31")};
  EXPECT_THAT(found(), IsEmpty());
}

TEST_F(InUse, WhoCountsAsOneSubscriberCannotChangeLiveAtAll) {
  next.pools[0].subscribers.prefix_length = 56;
  drain = true;
  const auto violations = found();
  ASSERT_THAT(violations, SizeIs(1));
  EXPECT_EQ("pools[0].subscribers.prefix_length", violations[0].path);
}

TEST_F(InUse, APrefixThatGoesIsRefusedUntilItMayBeDrained) {
  next.translation_prefixes[0].name = "other";
  next.translation_prefixes[0].prefix = *Ipv6Prefix::parse("2001:db8:64::/96");
  EXPECT_THAT(found(), SizeIs(1));
  EXPECT_THAT(found(false), IsEmpty()) << "no node translates it";
  drain = true;
  EXPECT_THAT(found(), IsEmpty());
}

TEST_F(InUse, AnotherPrefixUnderTheSameNameIsAlwaysRefused) {
  next.translation_prefixes[0].prefix = *Ipv6Prefix::parse("2001:db8:64::/96");
  drain = true;
  const auto violations = found();
  ASSERT_THAT(violations, SizeIs(1));
  EXPECT_EQ("translation_prefixes[0].prefix", violations[0].path);
  EXPECT_THAT(violations[0].message, HasSubstr("new name"));
}

TEST_F(InUse, ARenamedPrefixIsTheSamePrefix) {
  next.translation_prefixes[0].name = "other";
  EXPECT_THAT(found(), IsEmpty());
}

}  // namespace
}  // namespace isthmus::controller
