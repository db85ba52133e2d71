// SPDX-License-Identifier: Apache-2.0
#include "controller/core/waves.hpp"

#include <gtest/gtest.h>

namespace isthmus::controller {
namespace {

using std::chrono::seconds;
using State = Waves::State;

constexpr Duration kSoak = seconds{10};

// Ten services that do at once what they are let do.
class WavesTest : public testing::Test {
 protected:
  WavesTest() { waves.start(); }
  static Waves::Key key(int i) { return {ServiceKind::kNat64, "gw" + std::to_string(i)}; }
  bool step() {
    std::vector<Waves::Member> members;
    for (int i = 0; i < 10; ++i) members.push_back({key(i), states[static_cast<std::size_t>(i)]});
    return waves.step(members, now);
  }
  void admitted_apply() {
    for (int i = 0; i < 10; ++i) {
      auto& state = states[static_cast<std::size_t>(i)];
      if (waves.admitted(key(i)) && state == State::kWaits) state = State::kApplied;
    }
  }

  TimePoint now{seconds{100}};
  Waves waves{{.canary = 1, .wave_percent = 25, .soak = kSoak}};
  std::array<State, 10> states{};  // kWaits
};

TEST_F(WavesTest, TheFirstWaveIsTheCanaryAloneAndTheRestFollowsInShares) {
  std::vector<std::size_t> sizes;
  bool done = false;
  for (int i = 0; i < 20 && !done; ++i) {
    done = step();
    if (sizes.empty() || sizes.back() != waves.admitted_count()) sizes.push_back(waves.admitted_count());
    admitted_apply();
    if (waves.soaks_until() != TimePoint{}) now = waves.soaks_until();
  }
  EXPECT_TRUE(done);
  EXPECT_EQ((std::vector<std::size_t>{1, 4, 7, 10}), sizes);
}

TEST_F(WavesTest, TheNextWaveWaitsUntilTheLastHasSoaked) {
  EXPECT_FALSE(step());
  admitted_apply();
  EXPECT_FALSE(step());
  now += kSoak - seconds{1};
  EXPECT_FALSE(step());
  EXPECT_EQ(1U, waves.admitted_count());
  now += seconds{1};
  EXPECT_FALSE(step());
  EXPECT_EQ(4U, waves.admitted_count());
}

TEST_F(WavesTest, ARefusalStopsThemUntilItIsTakenBack) {
  (void)step();
  states[0] = State::kRejected;
  now += kSoak * 10;
  EXPECT_FALSE(step());
  EXPECT_EQ(1U, waves.stopped_by().size());
  EXPECT_EQ(1U, waves.admitted_count());
  states[0] = State::kApplied;
  (void)step();
  EXPECT_TRUE(waves.stopped_by().empty());
  now += kSoak;
  (void)step();
  EXPECT_EQ(4U, waves.admitted_count());
}

TEST_F(WavesTest, ACanaryThatIsLostBeforeOrWhileItSoaksStopsThem) {
  (void)step();
  states[0] = State::kLost;
  (void)step();
  EXPECT_EQ(1U, waves.stopped_by().size());
  states[0] = State::kApplied;
  (void)step();
  states[0] = State::kLost;
  now += kSoak * 2;
  EXPECT_FALSE(step());
  EXPECT_EQ(1U, waves.admitted_count());
  EXPECT_EQ(1U, waves.stopped_by().size());
}

TEST_F(WavesTest, OneThatWasLostBeforeHoldsNothingUp) {
  states.fill(State::kApplied);
  states[4] = State::kLost;
  EXPECT_TRUE(step());
}

TEST_F(WavesTest, ALostServiceIsNoCanary) {
  states[0] = State::kLost;
  (void)step();
  EXPECT_FALSE(waves.admitted(key(0)));
  EXPECT_TRUE(waves.admitted(key(1)));
}

TEST_F(WavesTest, WhoRunsItAlreadyKeepsIt) {
  states[7] = State::kApplied;
  (void)step();
  EXPECT_TRUE(waves.admitted(key(7)));
}

TEST(Waves, WithoutACanaryAllGetItAtOnceAndItIsDoneWhenAllRunIt) {
  Waves waves{{.canary = 0}};
  waves.start();
  const Waves::Key a{ServiceKind::kNat64, "a"};
  EXPECT_TRUE(waves.admitted(a));
  EXPECT_FALSE(waves.step({{a, State::kWaits}}, TimePoint{}));
  EXPECT_TRUE(waves.step({{a, State::kApplied}}, TimePoint{}));
}

TEST(Waves, WithNobodyThereIsNothingToWaitFor) {
  Waves waves{{}};
  waves.start();
  EXPECT_TRUE(waves.step({}, TimePoint{}));
}

}  // namespace
}  // namespace isthmus::controller
