// SPDX-License-Identifier: Apache-2.0
#include "controller/core/policy_rollout.hpp"

#include <gtest/gtest.h>

namespace isthmus::controller {
namespace {

using std::chrono::seconds;
using State = Waves::State;
using Phase = RolloutPhase;

PolicyText text(std::uint64_t revision) {
  auto policy = std::make_shared<Policy>();
  policy->revision = revision;
  policy->dns64.limits.max_ttl_seconds = 30;
  return {policy, nullptr};
}

PolicySteps staged(PolicyText target) {
  return {.target = std::move(target), .bridge = {}, .interim = {}, .staged = {true, true}, .retired = {}};
}

// Services that run what they are told, when obey() lets them.
class PolicyRolloutTest : public testing::Test {
 protected:
  using Key = Waves::Key;
  PolicyRolloutTest() {
    rollout.begin({.target = text(1), .bridge = {}, .interim = {}, .retired = {}}, now);
    for (const auto& key : {gw1, gw2, dns1, dns2}) runs[key] = rollout.wanted(key)->version;
  }
  [[nodiscard]] std::uint64_t wanted(const Key& key) const {
    return rollout.wanted(key)->text.policy->revision;
  }
  void obey(const Key& key) { runs[key] = rollout.wanted(key)->version; }
  bool step() {
    std::vector<Waves::Member> members;
    for (const auto& [key, version] : runs) {
      const bool there = version == rollout.next_version(key.first);
      members.push_back({key, refuses.contains(key) ? State::kRejected
                              : there               ? State::kApplied
                                                    : State::kWaits});
    }
    return rollout.step(members, now);
  }
  // Until nothing moves any more without the clock.
  void run() {
    for (int i = 0; i < 20; ++i) {
      (void)step();
      for (auto& [key, version] : runs) {
        if (!refuses.contains(key)) obey(key);
      }
    }
  }
  void soak() {
    run();
    now += kSoak;
    run();
  }

  static constexpr Duration kSoak = seconds{10};
  const Key gw1{ServiceKind::kNat64, "gw1"}, gw2{ServiceKind::kNat64, "gw2"};
  const Key dns1{ServiceKind::kDns64, "dns1"}, dns2{ServiceKind::kDns64, "dns2"};
  TimePoint now{seconds{100}};
  PolicyRollout rollout{{.canary = 1, .wave_percent = 100, .soak = kSoak}, 7};
  std::map<Key, Version> runs;
  std::set<Key> refuses;
};

TEST_F(PolicyRolloutTest, TheFirstPolicyGoesToAllAtOnce) {
  EXPECT_EQ(Phase::kDone, rollout.phase());
  for (const auto& key : {gw1, gw2, dns1, dns2}) EXPECT_EQ(1U, wanted(key));
}

TEST_F(PolicyRolloutTest, AnUnstagedChangeGoesToAllAtOnceAndWaitsForNobody) {
  rollout.begin({.target = text(2), .bridge = {}, .interim = {}, .retired = {}}, now);
  EXPECT_EQ(Phase::kDone, rollout.phase());
  for (const auto& key : {gw1, gw2, dns1, dns2}) EXPECT_EQ(2U, wanted(key));
}

TEST_F(PolicyRolloutTest, DnsAnswersOnlyWhatEveryNodeTranslates) {
  rollout.begin(staged(text(2)), now);
  run();
  EXPECT_EQ(2U, wanted(gw1));
  EXPECT_EQ(1U, wanted(gw2)) << "the canary soaks";
  EXPECT_EQ(1U, wanted(dns1));
  now += kSoak;
  (void)step();
  EXPECT_EQ(2U, wanted(gw2));
  EXPECT_EQ(1U, wanted(dns1)) << "gw2 has not acked";
  obey(gw2);
  (void)step();
  EXPECT_EQ(Phase::kDns64, rollout.phase());
  (void)step();
  EXPECT_EQ(2U, wanted(dns1));
  EXPECT_EQ(1U, wanted(dns2));
  soak();
  EXPECT_EQ(2U, wanted(dns2));
  EXPECT_EQ(Phase::kDone, rollout.phase());
}

TEST_F(PolicyRolloutTest, APrefixThatGoesIsTranslatedAsLongAsAnswersLive) {
  auto steps = staged(text(3));
  steps.bridge = text(2);
  steps.retired = {{*Ipv6Prefix::parse("64:ff9b::/96"), 96}};
  rollout.begin(std::move(steps), now);
  soak();
  ASSERT_EQ(Phase::kDns64, rollout.phase());
  EXPECT_EQ(2U, wanted(gw1)) << "the new policy and the old prefix";
  EXPECT_EQ(3U, wanted(dns1));
  soak();
  ASSERT_EQ(Phase::kAnswers, rollout.phase());
  EXPECT_EQ(1U, rollout.retired().size());
  now += seconds{29};
  run();
  EXPECT_EQ(2U, wanted(gw1));
  now += seconds{1};
  run();
  EXPECT_EQ(3U, wanted(gw1));
  EXPECT_EQ(2U, wanted(gw2));
  soak();
  EXPECT_EQ(3U, wanted(gw2));
  EXPECT_EQ(Phase::kDone, rollout.phase());
  EXPECT_TRUE(rollout.retired().empty());
  EXPECT_EQ(rollout.target_version(), rollout.wanted(gw2)->version);
}

PolicyText with_max_ttl(std::uint64_t revision, std::uint32_t max_ttl) {
  auto policy = std::make_shared<Policy>();
  policy->revision = revision;
  policy->dns64.limits.max_ttl_seconds = max_ttl;
  return {policy, nullptr};
}

// What a policy gave with longer TTLs is in caches for as long as those say, whatever the next one says.
TEST_F(PolicyRolloutTest, AnswersOfPoliciesThatWereReplacedLatelyAreWaitedFor) {
  rollout.begin(staged(with_max_ttl(2, 7200)), now);
  soak();
  soak();
  ASSERT_EQ(Phase::kDone, rollout.phase());
  now += std::chrono::hours{48};  // the first one's are gone
  rollout.begin(staged(with_max_ttl(3, 900)), now);
  soak();
  ASSERT_EQ(Phase::kDns64, rollout.phase());
  now += seconds{1000};
  soak();
  ASSERT_EQ(Phase::kDone, rollout.phase());
  const auto replaced = now - kSoak;  // the canary had been watched for long enough by then
  const auto remove_prefix = [&](const char* prefix, unsigned embed_length) {
    auto steps = staged(with_max_ttl(5, 900));
    steps.bridge = with_max_ttl(4, 900);
    steps.retired = {{*Ipv6Prefix::parse(prefix), embed_length}};
    rollout.begin(std::move(steps), now);
    soak();
    soak();
    EXPECT_EQ(Phase::kAnswers, rollout.phase());
    return rollout.answers_until();
  };
  EXPECT_EQ(replaced + seconds{7200}, remove_prefix("64:ff9b::/96", 96));
  now += seconds{7200};
  run();
  soak();
  ASSERT_EQ(Phase::kDone, rollout.phase());
  const auto until = remove_prefix("64:ff9b::/96", 96);
  EXPECT_LE(until, now + seconds{900});
}

TEST_F(PolicyRolloutTest, AnswersOfAPolicyThatReachedSomeOnlyAreWaitedForToo) {
  now += std::chrono::hours{48};
  rollout.begin(staged(with_max_ttl(2, 7200)), now);
  rollout.begin(staged(with_max_ttl(3, 604800)), now);  // overtakes: no DNS64 service ran 2
  soak();
  ASSERT_EQ(Phase::kDns64, rollout.phase());
  (void)step();
  auto steps = staged(with_max_ttl(5, 60));
  steps.bridge = with_max_ttl(4, 60);
  steps.retired = {{*Ipv6Prefix::parse("64:ff9b::/96"), 96}};
  rollout.begin(std::move(steps), now);
  soak();
  ASSERT_EQ(Phase::kDns64, rollout.phase());
  soak();
  ASSERT_EQ(Phase::kAnswers, rollout.phase());
  EXPECT_EQ(now + seconds{604800}, rollout.answers_until());
}

PolicyText with_steering_ttl(std::uint64_t revision, Duration ttl) {
  auto policy = std::make_shared<Policy>();
  policy->revision = revision;
  policy->translation_prefixes.resize(1);
  policy->translation_prefixes[0].assignment = Assignment::kPerNode;
  policy->dns64.views.resize(1);
  policy->dns64.views[0].steering_ttl = ttl;
  return {policy, nullptr};
}

TEST_F(PolicyRolloutTest, SteeredAnswersLiveAsLongAsAnyPolicyAllowsThatSomeServiceMayRun) {
  EXPECT_EQ(now, rollout.last_answer(Assignment::kPerNode, now)) << "none are given";
  rollout.begin(staged(with_steering_ttl(2, seconds{30})), now);
  soak();
  soak();
  ASSERT_EQ(Phase::kDone, rollout.phase());
  EXPECT_EQ(now + seconds{30}, rollout.last_answer(Assignment::kPerNode, now));

  rollout.begin(staged(with_steering_ttl(3, seconds{600})), now);
  soak();
  ASSERT_EQ(Phase::kDns64, rollout.phase());
  EXPECT_EQ(now + seconds{600}, rollout.last_answer(Assignment::kPerNode, now)) << "the canary's";
  // Another overtakes it: the canary may run the one before until this one is through.
  rollout.begin(staged(with_steering_ttl(4, seconds{10})), now);
  EXPECT_EQ(now + seconds{600}, rollout.last_answer(Assignment::kPerNode, now));
  soak();
  soak();
  ASSERT_EQ(Phase::kDone, rollout.phase());
  now += seconds{300};
  const auto last = rollout.last_answer(Assignment::kPerNode, now);
  EXPECT_GT(last, now + seconds{10}) << "what was given before lives on";
  EXPECT_LE(last, now + seconds{300});
  EXPECT_EQ(last + seconds{5}, rollout.last_answer(Assignment::kPerNode, last - seconds{5}));
}

TEST_F(PolicyRolloutTest, APrefixOfAllNodesWaitsForSteeredAnswersAlone) {
  rollout.begin(staged(with_steering_ttl(2, seconds{30})), now);
  soak();
  soak();
  ASSERT_EQ(Phase::kDone, rollout.phase());
  auto steps = staged(text(4));
  steps.bridge = text(3);
  steps.retired = {{*Ipv6Prefix::parse("2001:db8:64::/48"), 96}};
  rollout.begin(std::move(steps), now);
  soak();
  soak();
  ASSERT_EQ(Phase::kAnswers, rollout.phase());
  EXPECT_LE(rollout.answers_until(), now + seconds{30});
}

TEST_F(PolicyRolloutTest, NewExclusionsReachAllBeforeTheRestIsOnItsWay) {
  auto steps = staged(text(3));
  steps.interim = {text(2), text(2)};
  rollout.begin(std::move(steps), now);
  (void)step();
  EXPECT_EQ(3U, wanted(gw1)) << "the canary gets all of it";
  for (const auto& key : {gw2, dns1, dns2}) EXPECT_EQ(2U, wanted(key));
}

TEST_F(PolicyRolloutTest, ARefusalStopsItAndARollbackTakesItBackFromEveryoneAtOnce) {
  rollout.begin(staged(text(2)), now);
  soak();
  ASSERT_EQ(Phase::kDns64, rollout.phase());
  refuses.insert(dns1);
  soak();
  soak();
  EXPECT_EQ(Phase::kDns64, rollout.phase());
  EXPECT_EQ(1U, wanted(dns2));
  ASSERT_NE(nullptr, rollout.waves());
  EXPECT_EQ(1U, rollout.waves()->stopped_by().size());
  // Back to the first: for DNS nothing is staged, it never left it; nodes go back in waves of their own.
  refuses.clear();
  auto back = staged(text(1));
  back.staged = {false, false};
  rollout.begin(std::move(back), now);
  EXPECT_EQ(1U, wanted(dns1));
  EXPECT_EQ(1U, wanted(gw1));
  EXPECT_EQ(Phase::kDone, rollout.phase());
}

TEST_F(PolicyRolloutTest, ANewPolicyBeforeTheLastIsThroughStartsFromWhatAllHadReached) {
  rollout.begin(staged(text(2)), now);
  run();
  EXPECT_EQ(2U, wanted(gw1));
  rollout.begin(staged(text(3)), now);
  EXPECT_EQ(1U, rollout.base(ServiceKind::kNat64).policy->revision);
  (void)step();
  EXPECT_EQ(3U, wanted(gw1));
  EXPECT_EQ(1U, wanted(gw2));
}

TEST_F(PolicyRolloutTest, AHigherEpochRenumbersWhatIsWanted) {
  rollout.raise_epoch(99);
  EXPECT_EQ(99U, rollout.wanted(gw1)->version.epoch);
  EXPECT_EQ(99U, rollout.target_version().epoch);
}

TEST_F(PolicyRolloutTest, TheMarksSayHowFarEachVersionCame) {
  const RolloutMarks first{.done = 1, .nat64 = 1, .dns64 = 1};
  EXPECT_EQ(first, rollout.marks(1, {}));
  auto steps = staged(text(2));
  steps.bridge = text(22);
  rollout.begin(steps, now);
  EXPECT_EQ(first, rollout.marks(2, first)) << "nobody has reached it";
  EXPECT_EQ(1U, rollout.nat64_runs().policy->revision);
  RolloutMarks marks = first;
  std::vector<RolloutMarks> seen{marks};
  for (int i = 0; i < 20; ++i) {
    soak();
    marks = rollout.marks(2, marks);
    if (marks != seen.back()) seen.push_back(marks);
  }
  EXPECT_EQ(Phase::kDone, rollout.phase());
  EXPECT_EQ(2U, rollout.nat64_runs().policy->revision);
  EXPECT_EQ((RolloutMarks{.done = 2, .nat64 = 2, .dns64 = 2}), seen.back());
  for (const auto& each : seen) EXPECT_GE(each.nat64, each.dns64);
  for (const auto& each : seen) EXPECT_GE(each.dns64, each.done);
}

}  // namespace
}  // namespace isthmus::controller
