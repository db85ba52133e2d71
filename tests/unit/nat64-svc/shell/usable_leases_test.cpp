// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/usable_leases.hpp"

#include <gtest/gtest.h>

namespace isthmus::nat64 {
namespace {

constexpr Ipv4Address kHeld{203, 0, 113, 1};
constexpr Ipv4Address kStopped{203, 0, 113, 2};

TimePoint at(int seconds) {
  return TimePoint{std::chrono::seconds{seconds}};
}

Allocation one_of_each() {
  LeasedAddress held;
  held.address = kHeld;
  LeasedAddress stopped;
  stopped.address = kStopped;
  stopped.on_expiry = OnExpiry::kStop;
  Allocation allocation;
  allocation.addresses = {held, stopped};
  return allocation;
}

const std::vector<LeaseDeadline> kDeadline{{kStopped, at(40), at(60)}};

TEST(UsableLeases, AHoldLeaseNeedsNoDeadline) {
  const auto usable = usable_leases(one_of_each(), {}, at(1000));
  ASSERT_EQ(usable.allocation.addresses.size(), 1U);
  EXPECT_EQ(usable.allocation.addresses[0].address, kHeld);
  EXPECT_FALSE(usable.next_change);
  EXPECT_FALSE(usable.stop);
}

TEST(UsableLeases, AStopLeaseIsUsedWhileItsRenewalHolds) {
  const auto usable = usable_leases(one_of_each(), kDeadline, at(39));
  ASSERT_EQ(usable.allocation.addresses.size(), 2U);
  EXPECT_FALSE(usable.allocation.addresses[1].withdrawn);
  EXPECT_EQ(usable.next_change, at(40));
  EXPECT_EQ(usable.stop, at(60));
}

TEST(UsableLeases, NearTheDeadlineItMakesNoNewMappings) {
  const auto usable = usable_leases(one_of_each(), kDeadline, at(40));
  ASSERT_EQ(usable.allocation.addresses.size(), 2U);
  EXPECT_TRUE(usable.allocation.addresses[1].withdrawn);
  EXPECT_FALSE(usable.allocation.addresses[0].withdrawn);
  EXPECT_EQ(usable.next_change, at(60));
}

TEST(UsableLeases, FromTheDeadlineOnItIsGone) {
  const auto usable = usable_leases(one_of_each(), kDeadline, at(60));
  ASSERT_EQ(usable.allocation.addresses.size(), 1U);
  EXPECT_EQ(usable.allocation.addresses[0].address, kHeld);
  EXPECT_FALSE(usable.stop);
}

TEST(UsableLeases, WhatElseTheAllocationSaysStays) {
  auto leased = one_of_each();
  leased.draining = true;
  EXPECT_TRUE(usable_leases(leased, {}, at(0)).allocation.draining);
}

}  // namespace
}  // namespace isthmus::nat64
