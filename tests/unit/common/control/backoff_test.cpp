// SPDX-License-Identifier: Apache-2.0
#include "common/control/backoff.hpp"

#include <gtest/gtest.h>

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

TEST(Backoff, ServicesDoNotComeBackTogether) {
  EXPECT_NE(Backoff{1}.next(), Backoff{2}.next());
}

}  // namespace
}  // namespace isthmus
