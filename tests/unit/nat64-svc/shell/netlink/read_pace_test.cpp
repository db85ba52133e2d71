// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/netlink/read_pace.hpp"

#include <gtest/gtest.h>

namespace isthmus::nat64 {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr TimePoint kStart{seconds{1000}};
constexpr auto kGathered = kStart + ReadPace::kSettle;

TEST(ReadPace, WithoutAChangeNothingIsRead) {
  ReadPace pace;
  EXPECT_FALSE(pace.next());
  EXPECT_FALSE(pace.take(kStart + seconds{3600}));
}

TEST(ReadPace, ChangesThatComeTogetherAreReadOnce) {
  ReadPace pace;
  pace.changed(Reading::kNeighbours, kStart);
  pace.changed(Reading::kNeighbours, kStart + milliseconds{5});
  EXPECT_EQ(pace.next(), kGathered);
  EXPECT_FALSE(pace.take(kGathered - milliseconds{1}));
  EXPECT_EQ(pace.take(kGathered), Reading::kNeighbours);
  EXPECT_FALSE(pace.take(kGathered + seconds{1}));
}

TEST(ReadPace, AReadingOfAllIsOneOfTheNeighboursToo) {
  ReadPace pace;
  pace.changed(Reading::kNeighbours, kStart);
  pace.changed(Reading::kAll, kStart);
  EXPECT_EQ(pace.take(kGathered), Reading::kAll);
  EXPECT_FALSE(pace.next());
}

TEST(ReadPace, ALongReadingIsFollowedByALongerRest) {
  ReadPace pace;
  const auto ended = kStart + seconds{2};
  pace.took(Reading::kAll, kStart, ended);
  pace.changed(Reading::kAll, ended);
  EXPECT_EQ(pace.next(), ended + seconds{8});
  EXPECT_FALSE(pace.take(ended + seconds{7}));
  EXPECT_EQ(pace.take(ended + seconds{8}), Reading::kAll);
}

TEST(ReadPace, NeighboursDoNotWaitForTheRoutesRest) {
  ReadPace pace;
  pace.took(Reading::kAll, kStart - seconds{2}, kStart);
  pace.changed(Reading::kAll, kStart);
  pace.changed(Reading::kNeighbours, kStart);
  EXPECT_EQ(pace.take(kGathered), Reading::kNeighbours);
  EXPECT_EQ(pace.next(), kStart + seconds{8});
}

}  // namespace
}  // namespace isthmus::nat64
