// SPDX-License-Identifier: Apache-2.0
#include "common/control/backoff.hpp"

#include <gtest/gtest.h>

#include <set>

namespace isthmus {
namespace {

TEST(Backoff, DoublesFrom200msTo5sWithinTheUpperHalf) {
  Backoff backoff{42};
  Duration ceiling = Backoff::kMin;
  for (int i = 0; i < 20; ++i) {
    const auto delay = backoff.next();
    EXPECT_GE(delay, ceiling / 2);
    EXPECT_LE(delay, ceiling);
    ceiling = std::min<Duration>(ceiling * 2, Backoff::kMax);
  }
  EXPECT_EQ(ceiling, Backoff::kMax);
}

TEST(Backoff, BeginsAnewAfterALivingStream) {
  Backoff backoff{42};
  for (int i = 0; i < 10; ++i) (void)backoff.next();
  backoff.reset();
  EXPECT_LE(backoff.next(), Backoff::kMin);
}

TEST(Backoff, AWaitThatWasAskedForIsKeptAndSpread) {
  Backoff backoff{42};
  const Duration asked = std::chrono::seconds{4};
  std::set<Duration> waits;
  for (int i = 0; i < 20; ++i) {
    const auto wait = backoff.at_least(asked);
    EXPECT_GE(wait, asked);
    EXPECT_LE(wait, asked + asked / 4);
    waits.insert(wait);
  }
  EXPECT_GT(waits.size(), 10U);
  EXPECT_EQ(Duration{}, backoff.at_least(Duration{}));
}

TEST(Backoff, ServicesDoNotComeBackTogether) {
  EXPECT_NE(Backoff{1}.next(), Backoff{2}.next());
}

}  // namespace
}  // namespace isthmus
