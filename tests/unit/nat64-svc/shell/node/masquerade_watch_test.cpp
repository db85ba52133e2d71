// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/node/masquerade_watch.hpp"

#include <gtest/gtest.h>

namespace isthmus::nat64 {
namespace {

TEST(MasqueradeWatch, OnlyWhenAllPacketsComeFromTheNodeItIsSaid) {
  MasqueradeWatch watch;
  EXPECT_FALSE(watch.look(100, 99));
  EXPECT_FALSE(watch.masqueraded());
  EXPECT_TRUE(watch.look(200, 199));
  EXPECT_TRUE(watch.masqueraded());
}

TEST(MasqueradeWatch, AFewPacketsMakeNoVerdictAndCountForTheNext) {
  MasqueradeWatch watch;
  EXPECT_FALSE(watch.look(MasqueradeWatch::kEnough - 1, MasqueradeWatch::kEnough - 1));
  EXPECT_TRUE(watch.look(MasqueradeWatch::kEnough, MasqueradeWatch::kEnough));
}

TEST(MasqueradeWatch, ItIsTakenBackWhenPodsAreSeenAgain) {
  MasqueradeWatch watch;
  EXPECT_TRUE(watch.look(50, 50));
  EXPECT_TRUE(watch.look(100, 60));
  EXPECT_FALSE(watch.masqueraded());
}

}  // namespace
}  // namespace isthmus::nat64
