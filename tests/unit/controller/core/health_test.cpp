// SPDX-License-Identifier: Apache-2.0
#include "controller/core/health.hpp"

#include <gtest/gtest.h>

namespace isthmus::controller {
namespace {

using Set = std::set<std::string>;

TEST(HealthJudge, AFewFailuresLeaveTheSet) {
  HealthJudge judge;
  judge.judge({"a", "b", "c", "d"}, {});
  EXPECT_EQ((Set{"a", "b", "c"}), judge.judge({"a", "b", "c"}, {}));
  EXPECT_FALSE(judge.held());
}

TEST(HealthJudge, WhenMoreThanHalfFailAtOnceTheSetIsKeptAndTheAlarmIsOn) {
  HealthJudge judge;
  judge.judge({"a", "b", "c"}, {});
  EXPECT_EQ((Set{"a", "b", "c"}), judge.judge({"a"}, {}));
  EXPECT_TRUE(judge.held());
  EXPECT_EQ((Set{"a", "b"}), judge.judge({"a", "b"}, {}));
  EXPECT_FALSE(judge.held());
}

TEST(HealthJudge, TheLastNodeThatFailsStays) {
  HealthJudge judge;
  judge.judge({"a"}, {});
  EXPECT_EQ(Set{"a"}, judge.judge({}, {}));
  EXPECT_TRUE(judge.held());
}

TEST(HealthJudge, WhoLeavesOnPurposeDoesNotCountAsFailed) {
  HealthJudge judge;
  judge.judge({"a", "b", "c"}, {});
  EXPECT_EQ(Set{"c"}, judge.judge({"c"}, {"a", "b"}));
  EXPECT_FALSE(judge.held());
}

}  // namespace
}  // namespace isthmus::controller
