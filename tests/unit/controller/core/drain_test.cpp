// SPDX-License-Identifier: Apache-2.0
#include "controller/core/drain.hpp"

#include <gtest/gtest.h>

namespace isthmus::controller {
namespace {

using std::chrono::seconds;

TEST(Drain, EachStageWaitsForWhatItsNameSays) {
  TimePoint now{seconds{100}};
  Drain drain{.node_id = "gw1", .since = now, .began = {}, .author = "", .comment = ""};
  DrainFacts facts{.in_answers = true, .answers_until = now + seconds{30}, .addresses = 2};
  EXPECT_EQ(DrainStage::kLeavingAnswers, next_stage(drain, facts, now + seconds{1000}));
  facts.in_answers = false;
  EXPECT_EQ(DrainStage::kAccepting, next_stage(drain, facts, now));

  drain.stage = DrainStage::kAccepting;
  EXPECT_EQ(DrainStage::kAccepting, next_stage(drain, facts, now + seconds{29}));
  EXPECT_EQ(DrainStage::kReleasing, next_stage(drain, facts, now + seconds{30}));

  drain.stage = DrainStage::kReleasing;
  EXPECT_EQ(DrainStage::kReleasing, next_stage(drain, facts, now + seconds{1000}));
  facts.addresses = 0;
  EXPECT_EQ(DrainStage::kDrained, next_stage(drain, facts, now));
}

TEST(Drain, NoStageIsGoneBackTo) {
  Drain drain{
      .node_id = "gw1", .stage = DrainStage::kDrained, .since = {}, .began = {}, .author = "", .comment = ""};
  EXPECT_EQ(DrainStage::kDrained,
            next_stage(drain, {.in_answers = true, .answers_until = {}, .addresses = 3}, TimePoint{}));
}

}  // namespace
}  // namespace isthmus::controller
