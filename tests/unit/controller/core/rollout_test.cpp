// SPDX-License-Identifier: Apache-2.0
#include "controller/core/rollout.hpp"

#include <gtest/gtest.h>

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
  EXPECT_TRUE(r.due());
  r.sent(1);
  EXPECT_EQ(RolloutState::kSent, r.state());
  EXPECT_FALSE(r.due());
  EXPECT_TRUE(r.on_ack(1, kNew));
  EXPECT_EQ(RolloutState::kApplied, r.state());
  EXPECT_EQ(kNew, r.running());
}

TEST(Rollout, ANackKeepsTheViolationsAndWhatRuns) {
  Rollout r;
  r.connected(kOld);
  r.want(kNew);
  r.sent(1);
  EXPECT_TRUE(r.on_nack(1, kOld, {{"pools[0]", "no such interface"}}));
  EXPECT_EQ(RolloutState::kRejected, r.state());
  EXPECT_EQ(kOld, r.running());
  EXPECT_EQ(1U, r.violations().size());
  r.want(kNew);
  EXPECT_FALSE(r.due()) << "the same text again would be refused again";
  r.want(kNewer);
  EXPECT_TRUE(r.due());
}

TEST(Rollout, AnAnswerToAnotherQuestionMeansNothing) {
  Rollout r;
  r.want(kNew);
  EXPECT_FALSE(r.on_ack(0, kNew));
  r.sent(5);
  EXPECT_FALSE(r.on_ack(4, kNew));
  EXPECT_FALSE(r.on_nack(6, kOld, {}));
  EXPECT_EQ(RolloutState::kSent, r.state());
}

TEST(Rollout, WhatChangesWhileOneIsInFlightGoesOutWhenTheAnswerCame) {
  Rollout r;
  r.want(kNew);
  r.sent(1);
  r.want(kNewer);
  EXPECT_FALSE(r.due());
  EXPECT_TRUE(r.on_ack(1, kNew));
  EXPECT_EQ(kNew, r.last_sent());
  EXPECT_TRUE(r.due());
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
  EXPECT_TRUE(r.due());
}

}  // namespace
}  // namespace isthmus::controller
