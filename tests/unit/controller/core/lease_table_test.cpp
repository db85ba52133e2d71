// SPDX-License-Identifier: Apache-2.0
#include "controller/core/lease_table.hpp"

#include <gmock/gmock.h>

namespace isthmus::controller {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

const Holder kA{"gw-a", "machine-a"};
const Holder kB{"gw-b", "machine-b"};
const Ipv4Address kFirst{203, 0, 113, 4};
const Ipv4Address kSecond{203, 0, 113, 5};
constexpr TimePoint kStart{seconds{1000}};

Pool pool(OnExpiry on_expiry, const char* addresses = "203.0.113.4/31") {
  Pool p;
  p.name = "public";
  p.addresses = {*Ipv4Prefix::parse(addresses)};
  p.lease = {.on_expiry = on_expiry, .term = seconds{60}, .quarantine = seconds{240}};
  return p;
}

class LeaseTableTest : public testing::Test {
 protected:
  explicit LeaseTableTest(OnExpiry on_expiry = OnExpiry::kHold) {
    table.set_pools({pool(on_expiry)}, kStart);
  }
  [[nodiscard]] LeaseState state(Ipv4Address a) const { return table.find(a)->state; }
  [[nodiscard]] std::uint64_t revision(const Holder& h) const { return table.revision_of(h); }
  LeaseTable table;
};
class StopLeaseTest : public LeaseTableTest {
 protected:
  StopLeaseTest() : LeaseTableTest(OnExpiry::kStop) {}
};

TEST_F(LeaseTableTest, AnAddressIsGrantedOnce) {
  EXPECT_TRUE(table.grant(kFirst, kA, kStart));
  EXPECT_FALSE(table.grant(kFirst, kB, kStart));
  EXPECT_THAT(table.held_by(kA), ElementsAre(kFirst));
  EXPECT_THAT(table.held_by(kB), IsEmpty());
}

TEST_F(LeaseTableTest, AHoldLeaseNeverEndsByTime) {
  ASSERT_TRUE(table.grant(kFirst, kA, kStart));
  EXPECT_THAT(table.tick(kStart + std::chrono::hours{24 * 365}), IsEmpty());
  EXPECT_EQ(LeaseState::kGranted, state(kFirst));
}

TEST_F(LeaseTableTest, AReleaseCountsOnlyAfterTheWithdrawalWasAcked) {
  ASSERT_TRUE(table.grant(kFirst, kA, kStart));
  const auto granted_in = revision(kA);
  ASSERT_TRUE(table.withdraw(kFirst, kStart));
  EXPECT_THAT(table.on_released(kA, {kFirst}, granted_in, kStart), IsEmpty());
  EXPECT_THAT(table.on_released(kB, {kFirst}, revision(kA), kStart), IsEmpty()) << "not its lease";
  EXPECT_THAT(table.on_released(kA, {kFirst}, revision(kA), kStart), ElementsAre(kFirst));
  EXPECT_EQ(LeaseState::kQuarantined, state(kFirst));
}

TEST_F(LeaseTableTest, AReleaseOfAnAddressThatIsNotWithdrawnMeansNothing) {
  ASSERT_TRUE(table.grant(kFirst, kA, kStart));
  EXPECT_THAT(table.on_released(kA, {kFirst}, revision(kA), kStart), IsEmpty());
}

TEST_F(LeaseTableTest, AFreedAddressRestsForTheQuarantineButItsLastHolderMayReturn) {
  ASSERT_TRUE(table.grant(kFirst, kA, kStart));
  EXPECT_THAT(table.on_goodbye(kA, {kFirst}, kStart), ElementsAre(kFirst));
  EXPECT_FALSE(table.grant(kFirst, kB, kStart + seconds{239}));
  EXPECT_TRUE(table.grant(kFirst, kA, kStart + seconds{1}));
  EXPECT_THAT(table.on_goodbye(kA, {kFirst}, kStart + seconds{2}), ElementsAre(kFirst));
  (void)table.tick(kStart + seconds{241});
  EXPECT_EQ(LeaseState::kQuarantined, state(kFirst));
  (void)table.tick(kStart + seconds{242});
  EXPECT_TRUE(table.grant(kFirst, kB, kStart + seconds{242}));
}

TEST_F(LeaseTableTest, FencingFreesWhatThatMachineHeldAndNothingOfItsTwin) {
  const Holder twin{"gw-a", "machine-z"};
  ASSERT_TRUE(table.grant(kFirst, kA, kStart));
  ASSERT_TRUE(table.grant(kSecond, twin, kStart));
  EXPECT_THAT(table.fence(kA, kStart), ElementsAre(kFirst));
  EXPECT_THAT(table.held_by(twin), ElementsAre(kSecond));
  EXPECT_FALSE(table.grant(kFirst, kB, kStart)) << "it rests first";
}

TEST_F(LeaseTableTest, AHelloAdoptsWhatNobodyElseHas) {
  const auto result = table.on_hello(kA, {kSecond}, kStart);
  EXPECT_THAT(result.adopted, ElementsAre(kSecond));
  EXPECT_THAT(result.conflicts, IsEmpty());
  EXPECT_FALSE(table.grant(kSecond, kB, kStart));
}

TEST_F(LeaseTableTest, AHelloThatClaimsTheAddressOfAnotherIsAConflict) {
  ASSERT_TRUE(table.grant(kFirst, kB, kStart));
  const auto result = table.on_hello(kA, {kFirst}, kStart);
  EXPECT_THAT(result.conflicts, ElementsAre(kFirst));
  EXPECT_THAT(table.held_by(kB), ElementsAre(kFirst));
}

TEST_F(LeaseTableTest, ASecondMachineOfOneNodeIsAnotherHolder) {
  ASSERT_TRUE(table.grant(kFirst, kA, kStart));
  EXPECT_THAT(table.on_hello({"gw-a", "machine-z"}, {kFirst}, kStart).conflicts, ElementsAre(kFirst));
}

TEST_F(LeaseTableTest, AHelloWithoutAWithdrawnAddressReleasesIt) {
  ASSERT_TRUE(table.grant(kFirst, kA, kStart));
  ASSERT_TRUE(table.grant(kSecond, kA, kStart));
  ASSERT_TRUE(table.withdraw(kFirst, kStart));
  (void)table.on_hello(kA, {}, kStart);
  EXPECT_EQ(LeaseState::kQuarantined, state(kFirst));
  EXPECT_EQ(LeaseState::kGranted, state(kSecond))
      << "what is granted waits for the node that came back empty";
}

TEST_F(LeaseTableTest, AClaimOutsideThePolicyIsWithdrawnAndErasedInTheEnd) {
  const Ipv4Address alien{192, 0, 2, 7};
  EXPECT_THAT(table.on_hello(kA, {alien}, kStart).adopted, ElementsAre(alien));
  EXPECT_EQ(LeaseState::kWithdrawing, state(alien));
  EXPECT_THAT(table.on_released(kA, {alien}, revision(kA), kStart), ElementsAre(alien));
  (void)table.tick(kStart + seconds{240});
  EXPECT_EQ(nullptr, table.find(alien));
}

TEST_F(LeaseTableTest, WhenTheTableKnowsBestAClaimOfAnUnknownAddressIsAConflict) {
  const Ipv4Address alien{192, 0, 2, 7};
  table.trust();
  const auto result = table.on_hello(kA, {alien, kFirst}, kStart);
  EXPECT_THAT(result.conflicts, ElementsAre(alien));
  EXPECT_THAT(result.adopted, ElementsAre(kFirst));
  EXPECT_EQ(nullptr, table.find(alien)) << "what peers claim does not grow the table";
}

TEST_F(LeaseTableTest, WhatAHolderWasToldIsForgottenOnlyWhenItHoldsNothing) {
  ASSERT_TRUE(table.grant(kFirst, kA, kStart));
  table.touch(kB);
  table.forget(kA);
  table.forget(kB);
  EXPECT_GT(revision(kA), 0U);
  EXPECT_EQ(0U, revision(kB));
  const auto before = revision(kA);
  table.touch(kB);
  EXPECT_GT(revision(kB), before) << "a revision is never used twice";
}

TEST_F(LeaseTableTest, AnAddressThatLeavesThePolicyIsWithdrawnFromItsHolder) {
  ASSERT_TRUE(table.grant(kFirst, kA, kStart));
  table.set_pools({}, kStart);
  EXPECT_EQ(LeaseState::kWithdrawing, state(kFirst));
  EXPECT_EQ(nullptr, table.find(kSecond));
  EXPECT_FALSE(table.resume(kFirst, kStart)) << "it is in no pool";
}

TEST_F(StopLeaseTest, ExpiresAtTermAndOnePercentAfterTheLastRenewalThenRests) {
  ASSERT_TRUE(table.grant(kFirst, kA, kStart));
  EXPECT_THAT(table.on_renewal(kA, {kFirst, kSecond}, kStart + seconds{50}), ElementsAre(kFirst));
  EXPECT_THAT(table.tick(kStart + seconds{110}), IsEmpty());
  EXPECT_EQ(1U, table.tick(kStart + seconds{111}).size());
  EXPECT_FALSE(table.grant(kFirst, kB, kStart + seconds{111}));
  (void)table.tick(kStart + seconds{111 + 240});
  EXPECT_TRUE(table.grant(kFirst, kB, kStart + seconds{351}));
  EXPECT_THAT(table.on_renewal(kA, {kFirst}, kStart + seconds{352}), IsEmpty())
      << "a late renewal renews nothing";
}

TEST_F(StopLeaseTest, ALeaseThatBecomesHoldDoesNotExpire) {
  ASSERT_TRUE(table.grant(kFirst, kA, kStart));
  table.set_pools({pool(OnExpiry::kHold)}, kStart);
  EXPECT_THAT(table.tick(kStart + seconds{10000}), IsEmpty());
}

TEST_F(LeaseTableTest, ALeaseThatBecomesStopExpiresOnlyOnceTheHolderAckedThat) {
  ASSERT_TRUE(table.grant(kFirst, kA, kStart));
  const auto before = revision(kA);
  table.set_pools({pool(OnExpiry::kStop)}, kStart);
  table.on_ack(kA, before, kStart);
  EXPECT_THAT(table.tick(kStart + seconds{10000}), IsEmpty()) << "it may still run under HOLD";
  table.on_ack(kA, revision(kA), kStart + seconds{10000});
  EXPECT_EQ(1U, table.tick(kStart + seconds{10061}).size());
}

TEST_F(StopLeaseTest, ARenewalUnderAShorterTermNeverBringsTheEndForward) {
  ASSERT_TRUE(table.grant(kFirst, kA, kStart));
  (void)table.on_renewal(kA, {kFirst}, kStart);
  auto shorter = pool(OnExpiry::kStop);
  shorter.lease.term = seconds{10};
  table.set_pools({shorter}, kStart);
  table.on_ack(kA, revision(kA), kStart);
  (void)table.on_renewal(kA, {kFirst}, kStart + seconds{1});
  EXPECT_THAT(table.tick(kStart + seconds{60}), IsEmpty()) << "the answer to the renewal may be lost";
  EXPECT_EQ(1U, table.tick(kStart + seconds{61}).size());
}

TEST_F(LeaseTableTest, ARestoredLeaseBindsAsBefore) {
  ASSERT_TRUE(table.grant(kFirst, kA, kStart));
  EXPECT_THAT(table.take_changes(), ElementsAre(kFirst, kSecond));
  LeaseTable copy;
  for (const auto& [address, lease] : table.leases()) copy.restore(lease, kStart, false);
  copy.set_pools({pool(OnExpiry::kHold)}, kStart);
  EXPECT_THAT(copy.held_by(kA), ElementsAre(kFirst));
  EXPECT_FALSE(copy.grant(kFirst, kB, kStart));
}

}  // namespace
}  // namespace isthmus::controller
