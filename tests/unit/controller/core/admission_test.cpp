// SPDX-License-Identifier: Apache-2.0
#include "controller/core/admission.hpp"

#include <gtest/gtest.h>

#include <map>

#include "common/control/backoff.hpp"

namespace isthmus::controller {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(Admission, ASecondsWorthComesInAtOnceAndTheRestIsToldOneTurnEach) {
  Admission admission{10};
  const TimePoint now{seconds{100}};
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(admission.wait(now)) << i;
  Duration before{};
  for (int i = 0; i < 20; ++i) {
    const auto wait = admission.wait(now);
    ASSERT_TRUE(wait) << i;
    EXPECT_GE(*wait, seconds{1});
    EXPECT_EQ(i == 0 ? *wait : before + milliseconds{100}, *wait);
    before = *wait;
  }
  EXPECT_EQ(now + before, admission.busy_until());
  EXPECT_FALSE(admission.wait(now + seconds{1}));
}

TEST(Admission, NobodyIsSentAwayForLongerThanHalfAMinute) {
  Admission admission{1};
  const TimePoint now{seconds{100}};
  for (int i = 0; i < 1000; ++i) EXPECT_LE(admission.wait(now).value_or(Duration{}), seconds{30});
}

TEST(Admission, ZeroIsNoLimit) {
  Admission admission{0};
  for (int i = 0; i < 100000; ++i) ASSERT_FALSE(admission.wait(TimePoint{seconds{1}}));
  EXPECT_EQ(TimePoint{}, admission.busy_until());
}

// Services with the back-off that services have, at the moment at which their controller returns.
TEST(Admission, FiveThousandServicesAreBackInTenSecondsAndNeverMoreThanTwoThousandInOne) {
  Admission admission{1000};
  std::multimap<TimePoint, Backoff> tries;
  const TimePoint start{seconds{100}};
  for (std::uint64_t i = 0; i < 5000; ++i) {
    Backoff backoff{i + 1};
    tries.emplace(start, backoff);
  }
  std::map<std::int64_t, int> came;
  TimePoint last;
  while (!tries.empty()) {
    auto [now, backoff] = *tries.begin();
    tries.erase(tries.begin());
    if (const auto wait = admission.wait(now)) {
      const auto pause = std::max(backoff.next(), backoff.at_least(*wait));
      tries.emplace(now + pause, backoff);
      continue;
    }
    ++came[(now - start) / seconds{1}];
    last = now;
  }
  EXPECT_LE(last - start, seconds{10});
  for (const auto& [second, count] : came) EXPECT_LE(count, 2000) << second;
}

}  // namespace
}  // namespace isthmus::controller
