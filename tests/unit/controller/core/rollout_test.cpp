// SPDX-License-Identifier: Apache-2.0
#include "controller/core/rollout.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace isthmus::controller {
namespace {

constexpr Version kOld{7, 1};
constexpr Version kNew{7, 2};
constexpr Version kNewer{7, 3};

TEST(Rollout, GoesFromPendingOverSentToApplied) {
  Rollout r;
  EXPECT_EQ(RolloutState::kNone, r.state());
  r.connected({});
  r.want(kNew);
  EXPECT_TRUE(r.due({}));
  r.sent(1);
  EXPECT_EQ(RolloutState::kSent, r.state());
  EXPECT_FALSE(r.due({}));
  EXPECT_TRUE(r.on_ack(1, kNew));
  EXPECT_EQ(RolloutState::kApplied, r.state());
  EXPECT_EQ(kNew, r.running());
}

TEST(Rollout, ANackKeepsTheViolationsAndWhatRuns) {
  Rollout r;
  r.connected(kOld);
  r.want(kNew);
  r.sent(1);
  EXPECT_TRUE(r.on_nack(1, kOld, NackKind::kInvalidConfig, {{"pools[0]", "no such interface"}}, {}));
  EXPECT_EQ(RolloutState::kRejected, r.state());
  EXPECT_EQ(kOld, r.running());
  EXPECT_EQ(1U, r.violations().size());
  r.want(kNew);
  EXPECT_FALSE(r.due(TimePoint{std::chrono::hours{24}})) << "the same text again would be refused again";
  r.want(kNewer);
  EXPECT_TRUE(r.due({}));
}

TEST(Rollout, WhatANodeCouldNotRunIsSentAgainEverLessOften) {
  Rollout r;
  r.connected(kOld);
  r.want(kNew);
  r.sent(1);
  TimePoint now{std::chrono::hours{1}};
  std::uint64_t nonce = 1;
  Duration wait = Rollout::kFirstRetry;
  for (int i = 0; i < 12; ++i) {
    EXPECT_TRUE(r.on_nack(nonce, kOld, NackKind::kNodeCannot, {{"", "no memory"}}, now));
    EXPECT_FALSE(r.due(now + wait - Duration{1}));
    now += wait;
    ASSERT_TRUE(r.due(now));
    r.sent(++nonce);
    EXPECT_FALSE(r.due(now + std::chrono::hours{1})) << "it was asked";
    EXPECT_EQ(RolloutState::kRejected, r.state()) << "until it runs";
    EXPECT_EQ(1U, r.violations().size());
    wait = std::min<Duration>(wait * 2, Rollout::kLastRetry);
  }
  EXPECT_TRUE(r.on_ack(nonce, kNew));
  EXPECT_EQ(RolloutState::kApplied, r.state());
  EXPECT_TRUE(r.violations().empty());
}

TEST(Rollout, AnotherVersionDoesNotWaitForTheRetryAndAnAnswerToTheRetryIsNotOne) {
  Rollout r;
  r.want(kNew);
  r.sent(1);
  EXPECT_TRUE(r.on_nack(1, kOld, NackKind::kNodeCannot, {}, {}));
  r.sent(2);
  r.want(kNewer);
  EXPECT_FALSE(r.due({})) << "one is in flight";
  EXPECT_TRUE(r.on_ack(2, kNew));
  EXPECT_TRUE(r.due({}));
  r.sent(3);
  EXPECT_TRUE(r.on_nack(3, kNew, NackKind::kNodeCannot, {}, {}));
  EXPECT_TRUE(r.due(TimePoint{} + Rollout::kFirstRetry)) << "another version, and the count begins anew";
}

TEST(Rollout, AnAnswerToAnotherQuestionMeansNothing) {
  Rollout r;
  r.want(kNew);
  EXPECT_FALSE(r.on_ack(0, kNew));
  r.sent(5);
  EXPECT_FALSE(r.on_ack(4, kNew));
  EXPECT_FALSE(r.on_nack(6, kOld, NackKind::kNodeCannot, {}, {}));
  EXPECT_EQ(RolloutState::kSent, r.state());
}

TEST(Rollout, WhatChangesWhileOneIsInFlightGoesOutWhenTheAnswerCame) {
  Rollout r;
  r.want(kNew);
  r.sent(1);
  r.want(kNewer);
  EXPECT_FALSE(r.due({}));
  EXPECT_TRUE(r.on_ack(1, kNew));
  EXPECT_EQ(kNew, r.last_sent());
  EXPECT_TRUE(r.due({}));
  r.sent(2);
  EXPECT_TRUE(r.on_ack(2, kNewer));
  EXPECT_EQ(RolloutState::kApplied, r.state());
}

TEST(Rollout, AReconnectSendsOnlyWhatDoesNotRunYet) {
  Rollout r;
  r.want(kNew);
  r.sent(1);
  r.connected(kNew);
  EXPECT_EQ(RolloutState::kApplied, r.state());
  r.connected(kOld);
  EXPECT_TRUE(r.due({}));
}

}  // namespace
}  // namespace isthmus::controller
