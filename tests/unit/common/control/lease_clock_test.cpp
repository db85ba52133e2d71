// SPDX-License-Identifier: Apache-2.0
#include "common/control/lease_clock.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace isthmus {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr Ipv4Address kA{203, 0, 113, 1};
constexpr Ipv4Address kB{203, 0, 113, 2};
const TimePoint kStart{seconds{1000}};

LeasedAddress stop(Ipv4Address address, Duration term = seconds{60}) {
  return {address, "public", OnExpiry::kStop, term, false, {}};
}
LeasedAddress hold(Ipv4Address address) {
  return {address, "public", OnExpiry::kHold, seconds{60}, false, {}};
}

TEST(LeaseClock, ALeaseThatWasNeverRenewedMayNotBeUsed) {
  LeaseClock clock;
  clock.set_leases({stop(kA)});
  clock.renewal_sent(1, kStart);
  EXPECT_THAT(clock.deadlines(), IsEmpty());
}

TEST(LeaseClock, TheTermRunsFromSendingNotFromTheAnswer) {
  LeaseClock clock;
  clock.set_leases({stop(kA)});
  clock.renewal_sent(1, kStart);
  clock.renewal_sent(2, kStart + seconds{20});
  EXPECT_TRUE(clock.renewal_answered(1, {kA}));  // whenever that is
  EXPECT_THAT(clock.deadlines(), ElementsAre(LeaseDeadline{kA, kStart + seconds{40}, kStart + seconds{60}}));
}

TEST(LeaseClock, AnAnswerOutOfOrderNeverMovesADeadlineBack) {
  LeaseClock clock;
  clock.set_leases({stop(kA)});
  clock.renewal_sent(1, kStart);
  clock.renewal_sent(2, kStart + seconds{20});
  EXPECT_TRUE(clock.renewal_answered(2, {kA}));
  EXPECT_TRUE(clock.renewal_answered(1, {kA}));
  EXPECT_EQ(clock.earliest_stop(), kStart + seconds{80});
}

TEST(LeaseClock, AnAddressThatTheAnswerLeavesOutKeepsItsOldDeadline) {
  LeaseClock clock;
  clock.set_leases({stop(kA), stop(kB)});
  clock.renewal_sent(1, kStart);
  EXPECT_TRUE(clock.renewal_answered(1, {kA, kB}));
  clock.renewal_sent(2, kStart + seconds{20});
  EXPECT_TRUE(clock.renewal_answered(2, {kA}));
  EXPECT_THAT(clock.deadlines(), ElementsAre(LeaseDeadline{kA, kStart + seconds{60}, kStart + seconds{80}},
                                             LeaseDeadline{kB, kStart + seconds{40}, kStart + seconds{60}}));
}

TEST(LeaseClock, AnswersThatMatchNoRenewalProveNothing) {
  LeaseClock clock;
  clock.set_leases({stop(kA)});
  EXPECT_FALSE(clock.renewal_answered(7, {kA}));
  clock.renewal_sent(1, kStart);
  EXPECT_TRUE(clock.renewal_answered(1, {}));
  EXPECT_FALSE(clock.renewal_answered(1, {kA}));  // twice
  clock.renewal_sent(2, kStart);
  clock.forget_outstanding();  // a new stream
  EXPECT_FALSE(clock.renewal_answered(2, {kA}));
  EXPECT_THAT(clock.deadlines(), IsEmpty());
}

TEST(LeaseClock, AnAddressThatStaysKeepsItsDeadlineAndOneThatComesBackStartsAnew) {
  LeaseClock clock;
  clock.set_leases({stop(kA), stop(kB)});
  clock.renewal_sent(1, kStart);
  EXPECT_TRUE(clock.renewal_answered(1, {kA, kB}));
  clock.set_leases({stop(kA, seconds{90})});
  EXPECT_THAT(clock.deadlines(), ElementsAre(LeaseDeadline{kA, kStart + seconds{60}, kStart + seconds{90}}));
  clock.set_leases({stop(kA), stop(kB)});
  EXPECT_EQ(clock.deadlines().size(), 1U);
}

TEST(LeaseClock, HoldLeasesHaveNoDeadline) {
  LeaseClock clock;
  clock.set_leases({hold(kA)});
  clock.renewal_sent(1, kStart);
  EXPECT_TRUE(clock.renewal_answered(1, {kA}));
  EXPECT_THAT(clock.deadlines(), IsEmpty());
  EXPECT_EQ(clock.earliest_stop(), std::nullopt);
}

TEST(LeaseClock, UnansweredRenewalsDoNotPileUp) {
  LeaseClock clock;
  clock.set_leases({stop(kA)});
  for (std::uint64_t i = 1; i <= 1000; ++i) clock.renewal_sent(i, kStart + seconds{i});
  EXPECT_FALSE(clock.renewal_answered(1, {kA}));  // forgotten: the safe side
  EXPECT_TRUE(clock.renewal_answered(1000, {kA}));
}

}  // namespace
}  // namespace isthmus
