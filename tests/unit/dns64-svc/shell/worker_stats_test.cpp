// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/shell/worker_stats.hpp"

#include <gtest/gtest.h>

namespace isthmus::dns64 {
namespace {

using namespace std::chrono_literals;

TEST(LatencyHistogram, EachBucketEndsAtAPowerOfTwoOfMicroseconds) {
  LatencyHistogram histogram;
  histogram.add(999ns);
  histogram.add(1us);
  histogram.add(1999ns);
  histogram.add(2us);
  histogram.add(1024us, 3);
  histogram.add(1h);
  EXPECT_EQ(histogram.bucket(0), 1U);
  EXPECT_EQ(histogram.bucket(1), 2U);
  EXPECT_EQ(histogram.bucket(2), 1U);
  EXPECT_EQ(histogram.bucket(11), 3U);
  EXPECT_EQ(histogram.bucket(LatencyHistogram::kBuckets - 1), 1U);
}

TEST(LatencyHistogram, AClockThatSteppedBackCountsAsNoTime) {
  LatencyHistogram histogram;
  histogram.add(-5ms);
  EXPECT_EQ(histogram.bucket(0), 1U);
  EXPECT_EQ(histogram.total_ns(), 0U);
}

}  // namespace
}  // namespace isthmus::dns64
