// SPDX-License-Identifier: Apache-2.0
// Lookups with the real libunbound and an upstream of our own on loopback.
#include "dns64-svc/shell/lookups.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <thread>

#include "dns64-svc/shell/event_loop.hpp"
#include "dns64-svc/shell/ub_event_base.hpp"
#include "tests/unit/dns64-svc/shell/fake_upstream.hpp"

namespace isthmus::dns64 {
namespace {

using namespace std::chrono_literals;

class LookupsTest : public testing::Test {
 protected:
  void make_lookups(std::size_t max_waiters = kMostWaiting) {
    lookups_ = std::make_unique<Lookups>(
        *loop_, base_, cache_,
        [this](const Waiter& waiter, const LookupResult& result) {
          delivered_.push_back({waiter, result});
          if (on_delivered_) on_delivered_();
        },
        RootAnchor{}, max_waiters);
  }
  void SetUp() override {
    make_lookups();
    loop_->set_turn_end([this] { lookups_->settle(); });
    groups_.emplace(std::uint16_t{3},
                    Resolver{.name = "main",
                             .mode = ResolverMode::kForward,
                             .upstreams = {{.address = "127.0.0.1", .port = upstream_.port()}},
                             .dnssec = false});
  }
  void TearDown() override {
    loop_->set_turn_end({});
    lookups_.reset();
  }
  // As the server does: contexts are made in a thread that is not the loop's.
  [[nodiscard]] bool prepare(const GroupConfigs& groups) {
    const auto missing = lookups_->keep(groups);
    Result<Lookups::Contexts, std::string> made;
    std::thread{[&] { made = lookups_->make_all_contexts(missing, limits_); }}.join();
    if (made) lookups_->adopt(groups, std::move(*made));
    return made.has_value();
  }
  void run_policy() {
    ASSERT_TRUE(prepare(groups_));
    lookups_->use(groups_, limits_, {});
  }
  template <class Done>
  void turn_until(Done done) {
    for (int i = 0; i < 2000 && !done(); ++i) loop_->turn(10ms);
    EXPECT_TRUE(done());
  }
  static Ask a_of(const char* name) { return {.type = rr::kA, .group = 3, .name = *Name::parse(name)}; }

  struct Delivered {
    Waiter waiter;
    LookupResult result;
  };
  std::unique_ptr<EventLoop> loop_ = EventLoop::create().value();
  UbEventBase base_{*loop_};
  FakeUpstream upstream_{*loop_};
  FactCache cache_{{}, {}};
  std::vector<Delivered> delivered_;
  std::unique_ptr<Lookups> lookups_;
  std::function<void()> on_delivered_;
  GroupConfigs groups_;
  Dns64Limits limits_;
};

TEST_F(LookupsTest, AnAnswerBecomesAFactInTheCacheAndReachesTheWaiter) {
  run_policy();
  lookups_->resolve(a_of("host.example."), {.worker = 1, .query = 9, .slot = 1});
  turn_until([&] { return !delivered_.empty(); });
  EXPECT_EQ(delivered_[0].waiter.query, 9U);
  EXPECT_EQ(delivered_[0].waiter.slot, 1U);
  ASSERT_TRUE(delivered_[0].result.fact);
  EXPECT_TRUE(delivered_[0].result.fact->is_positive());
  EXPECT_EQ(cache_.lookup(Name::parse("host.example.")->view(), rr::kA, 3, loop_->now()).freshness,
            Freshness::kFresh);
  EXPECT_EQ(lookups_->outstanding(), 0U);
}

// RFC 9520 §3.2: else every client's question would fetch it again.
TEST_F(LookupsTest, AnAnswerThatCannotBeKeptIsRememberedAsAFailure) {
  ASSERT_TRUE(prepare(groups_));
  lookups_->use(groups_, limits_, {.max_records = 0});
  lookups_->resolve(a_of("host.example."), {.worker = 1, .query = 9});
  turn_until([&] { return !delivered_.empty(); });
  EXPECT_FALSE(delivered_[0].result.fact);
  EXPECT_EQ(delivered_[0].result.why, ResolveFailure::kInternal);
  const auto found = cache_.lookup(Name::parse("host.example.")->view(), rr::kA, 3, loop_->now());
  ASSERT_EQ(found.freshness, Freshness::kFresh);
  EXPECT_TRUE(found.fact->is_failure());
}

TEST_F(LookupsTest, TheSameQuestionIsAskedOnceForAllWhoWait) {
  run_policy();
  for (std::uint64_t query = 1; query <= 5; ++query)
    lookups_->resolve(a_of("host.example."), {.worker = 0, .query = query});
  EXPECT_EQ(lookups_->outstanding(), 1U);
  turn_until([&] { return delivered_.size() == 5; });
  EXPECT_EQ(upstream_.questions, 1);
}

// As many as queries may wait: thousands of clients want one popular name after a flush.
TEST_F(LookupsTest, ThousandsMayWaitForOneName) {
  run_policy();
  for (std::uint64_t query = 1; query <= 5000; ++query)
    lookups_->resolve(a_of("host.example."), {.worker = 0, .query = query});
  turn_until([&] { return delivered_.size() == 5000; });
  EXPECT_EQ(upstream_.questions, 1);
  EXPECT_EQ(lookups_->failures(ResolveFailure::kBusy), 0U);
}

TEST_F(LookupsTest, WhoWaitsForOneNameIsLimitedUntilTheLookupEnds) {
  make_lookups(3);
  run_policy();
  for (std::uint64_t query = 1; query <= 3; ++query)
    lookups_->resolve(a_of("silent.example."), {.worker = 0, .query = query});
  EXPECT_TRUE(delivered_.empty());
  lookups_->resolve(a_of("silent.example."), {.worker = 0, .query = 4});
  ASSERT_EQ(delivered_.size(), 1U);
  EXPECT_EQ(delivered_[0].waiter.query, 4U);
  EXPECT_EQ(delivered_[0].result.why, ResolveFailure::kBusy);
  EXPECT_EQ(lookups_->failures(ResolveFailure::kBusy), 1U);
  lookups_->resolve(a_of("other.example."), {.worker = 0, .query = 5});
  turn_until([&] { return delivered_.size() == 2; });
  EXPECT_EQ(delivered_[1].waiter.query, 5U) << "another name has a limit of its own";
  upstream_.speak();
  turn_until([&] { return delivered_.size() == 5; });
  lookups_->resolve(a_of("silent.example."), {.worker = 0, .query = 6});
  turn_until([&] { return delivered_.size() == 6; });
  EXPECT_TRUE(delivered_[5].result.fact);
}

TEST_F(LookupsTest, UsuallyAsManyMayWaitForOneNameAsQueriesMayWait) {
  run_policy();
  for (std::uint64_t query = 1; query <= 32768; ++query)
    lookups_->resolve(a_of("silent.example."), {.worker = 0, .query = query});
  EXPECT_TRUE(delivered_.empty());
  lookups_->resolve(a_of("silent.example."), {.worker = 0, .query = 32769});
  EXPECT_EQ(delivered_.size(), 1U);
}

// What libunbound answers by itself comes before the question has returned: a loop in the loop, were it all
// served.
TEST_F(LookupsTest, AnswersThatLeadToQuestionsDoNotHoldTheLoopInOneTurn) {
  run_policy();
  const auto name = "below." + std::string{kStartName};
  on_delivered_ = [&] { lookups_->resolve(a_of(name.c_str()), {.worker = 0, .query = 1}); };
  on_delivered_();
  loop_->turn(0ms);
  const auto first = delivered_.size();
  EXPECT_GT(first, 0U);
  EXPECT_LT(first, 20U);
  loop_->turn(10min);  // and it does not sleep while some are left
  EXPECT_GT(delivered_.size(), first);
  on_delivered_ = {};
}

TEST_F(LookupsTest, WhatIsAskedAgainGoesUpstreamAgain) {
  run_policy();
  for (std::size_t round = 1; round <= 3; ++round) {
    lookups_->resolve(a_of("host.example."), {.worker = 0, .query = round});
    turn_until([&] { return delivered_.size() == round; });
  }
  EXPECT_EQ(upstream_.questions, 3);
}

TEST_F(LookupsTest, AboveTheLimitALookupIsRefusedAtOnce) {
  limits_.max_outstanding = 2;
  run_policy();
  for (const auto* name : {"s1.example.", "s2.example.", "s3.example."})
    lookups_->resolve(a_of(name), {.worker = 0, .query = 1});
  ASSERT_EQ(delivered_.size(), 1U);
  EXPECT_EQ(delivered_[0].result.why, ResolveFailure::kBusy);
  EXPECT_EQ(lookups_->failures(ResolveFailure::kBusy), 1U);
}

TEST_F(LookupsTest, ARefreshIsAskedAndNobodyHearsOfIt) {
  run_policy();
  auto ask = a_of("host.example.");
  ask.refresh_ttl = 300;
  lookups_->resolve(ask, {.query = 0});
  EXPECT_EQ(lookups_->outstanding(), 1U);
  turn_until([&] { return lookups_->outstanding() == 0; });
  EXPECT_EQ(lookups_->refreshes(), 1U);
  EXPECT_EQ(upstream_.questions, 1);
}

TEST_F(LookupsTest, OneZoneGetsAQuarterOfWhatMayBeInFlight) {
  limits_.max_outstanding = 8;
  run_policy();
  for (const auto* name : {"s1.a.dead.test1.", "s2.a.dead.test1.", "s3.dead.test1."})
    lookups_->resolve(a_of(name), {.worker = 0, .query = 1});
  ASSERT_EQ(delivered_.size(), 1U);
  EXPECT_EQ(delivered_[0].result.why, ResolveFailure::kBusy);
  lookups_->resolve(a_of("host.living.test2."), {.worker = 0, .query = 2});
  turn_until([&] { return delivered_.size() == 2; });
  EXPECT_TRUE(delivered_[1].result.fact);
}

TEST_F(LookupsTest, ReverseNamesOfOneRegistryLeaveRoomForThoseOfOthers) {
  limits_.max_outstanding = 8;
  run_policy();
  for (const auto* name :
       {"s1.5.20.198.in-addr.arpa.", "s2.6.20.198.in-addr.arpa.", "s3.7.20.198.in-addr.arpa."})
    lookups_->resolve(a_of(name), {.worker = 0, .query = 1});
  ASSERT_EQ(delivered_.size(), 1U);
  EXPECT_EQ(delivered_[0].result.why, ResolveFailure::kBusy);
  lookups_->resolve(a_of("host.7.44.203.in-addr.arpa."), {.worker = 0, .query = 2});
  turn_until([&] { return delivered_.size() == 2; });
  EXPECT_TRUE(delivered_[1].result.fact);
}

TEST_F(LookupsTest, AfterARenewalLookupsInFlightEndInTheOldContextAndNewOnesInTheNew) {
  run_policy();
  lookups_->resolve(a_of("host.example."), {.worker = 0, .query = 1});
  lookups_->renew(lookups_->make_contexts(groups_, limits_));
  lookups_->resolve(a_of("other.example."), {.worker = 0, .query = 2});
  turn_until([&] { return delivered_.size() == 2; });
  EXPECT_TRUE(delivered_[0].result.fact);
  EXPECT_TRUE(delivered_[1].result.fact);
}

// What was asked before a flush may be old when it comes.
TEST_F(LookupsTest, WhatWasInFlightAtARenewalReachesWhoWaitsButNotTheCacheAndNobodyJoins) {
  run_policy();
  lookups_->resolve(a_of("host.example."), {.worker = 0, .query = 1});
  turn_until([&] { return upstream_.questions == 1; });  // the answer is on its way
  lookups_->renew(lookups_->make_contexts(groups_, limits_));
  lookups_->resolve(a_of("host.example."), {.worker = 0, .query = 2});
  const auto cached = [&] {
    return cache_.lookup(Name::parse("host.example.")->view(), rr::kA, 3, loop_->now()).freshness;
  };
  turn_until([&] { return !delivered_.empty(); });
  EXPECT_EQ(delivered_[0].waiter.query, 1U);
  EXPECT_TRUE(delivered_[0].result.fact);
  if (delivered_.size() == 1) {
    EXPECT_EQ(cached(), Freshness::kMiss);
  }
  turn_until([&] { return delivered_.size() == 2; });
  EXPECT_EQ(delivered_[1].waiter.query, 2U);
  EXPECT_EQ(upstream_.questions, 2);
  EXPECT_EQ(cached(), Freshness::kFresh);
  EXPECT_EQ(lookups_->outstanding(), 0U);
}

TEST_F(LookupsTest, WhatTheOldContextBringsAfterARenewalIsNotKept) {
  run_policy();
  lookups_->resolve(a_of("host.example."), {.worker = 0, .query = 1});
  lookups_->renew(lookups_->make_contexts(groups_, limits_));
  turn_until([&] { return delivered_.size() == 1; });
  EXPECT_TRUE(delivered_[0].result.fact);
  EXPECT_EQ(cache_.stats().entries, 0U);
}

// Each has thousands of ports and its own memory, and a flush in an outage adds one.
TEST_F(LookupsTest, OfTheContextsThatEndNothingOnlyTheYoungestAreKept) {
  groups_.at(3).upstreams[0].port = 9;  // nobody
  groups_.at(3).upstreams[0].address = "127.0.0.2";
  run_policy();
  lookups_->resolve(a_of("host.example."), {.worker = 0, .query = 1});
  for (int i = 0; i < 2; ++i) lookups_->renew(lookups_->make_contexts(groups_, limits_));
  EXPECT_TRUE(delivered_.empty());
  lookups_->renew(lookups_->make_contexts(groups_, limits_));
  ASSERT_EQ(delivered_.size(), 1U);
  EXPECT_EQ(delivered_[0].result.why, ResolveFailure::kServFail);
  EXPECT_EQ(lookups_->outstanding(), 0U);
}

TEST_F(LookupsTest, ContextsMadeInAnotherThreadAskOnlyWhenTheyAreTakenUp) {
  run_policy();
  turn_until([&] { return lookups_->has_answered(); });
  Lookups::Contexts fresh;
  std::thread{[&] { fresh = lookups_->make_contexts(groups_, limits_); }}.join();
  ASSERT_EQ(fresh.size(), 1U);
  EXPECT_EQ(fresh.at(3)->outstanding(), 0U);
  EXPECT_FALSE(fresh.at(3)->has_answered());
  lookups_->renew(std::move(fresh));
  lookups_->resolve(a_of("host.example."), {.worker = 0, .query = 1});
  turn_until([&] { return !delivered_.empty(); });
  EXPECT_TRUE(delivered_[0].result.fact);
}

TEST_F(LookupsTest, ARenewalOfAGroupThatIsGoneChangesNothing) {
  auto fresh = lookups_->make_contexts(groups_, limits_);
  lookups_->renew(std::move(fresh));
  lookups_->use(groups_, limits_, {});
  lookups_->resolve(a_of("host.example."), {.worker = 0, .query = 1});
  ASSERT_EQ(delivered_.size(), 1U);
  EXPECT_EQ(delivered_[0].result.why, ResolveFailure::kBusy) << "nobody was asked: A must not stand in";
}

// One policy, another, and the first again before what waits under it has ended.
TEST_F(LookupsTest, AGroupOnItsWayOutThatIsPreparedAgainStays) {
  upstream_.refuses_root = false;  // its first question ends soon
  run_policy();
  lookups_->resolve(a_of("host.example."), {.worker = 0, .query = 1});
  lookups_->use({}, limits_, {});
  lookups_->let_go();
  ASSERT_TRUE(prepare(groups_));
  turn_until([&] { return delivered_.size() == 1; });
  for (int i = 0; i < 20; ++i) loop_->turn(10ms);  // nothing is outstanding any more
  lookups_->use(groups_, limits_, {});
  lookups_->resolve(a_of("other.example."), {.worker = 0, .query = 2});
  turn_until([&] { return delivered_.size() == 2; });
  EXPECT_TRUE(delivered_[1].result.fact);
}

TEST_F(LookupsTest, APolicyThatCannotBePreparedChangesNothing) {
  run_policy();
  auto broken = groups_;
  broken.emplace(std::uint16_t{4}, Resolver{.name = "bad", .trust_anchors = {"this is no anchor"}});
  EXPECT_FALSE(prepare(broken));
  lookups_->resolve(a_of("host.example."), {.worker = 0, .query = 1});
  turn_until([&] { return !delivered_.empty(); });
  EXPECT_TRUE(delivered_[0].result.fact);
}

TEST_F(LookupsTest, OnlyGroupsThatAreMissingAreMade) {
  EXPECT_EQ(lookups_->keep(groups_).size(), 1U);
  run_policy();
  auto more = groups_;
  more.emplace(std::uint16_t{4}, groups_.at(3));
  const auto missing = lookups_->keep(more);
  ASSERT_EQ(missing.size(), 1U);
  EXPECT_TRUE(missing.contains(4));
}

TEST_F(LookupsTest, AGroupThatIsPreparedSurvivesUntilItsPolicyRuns) {
  ASSERT_TRUE(prepare(groups_));
  turn_until([&] { return lookups_->has_answered(); });
  for (int i = 0; i < 20; ++i) loop_->turn(10ms);  // its first question is answered: nothing is outstanding
  lookups_->use(groups_, limits_, {});
  lookups_->resolve(a_of("host.example."), {.worker = 0, .query = 1});
  turn_until([&] { return !delivered_.empty(); });
  EXPECT_TRUE(delivered_[0].result.fact);
}

TEST_F(LookupsTest, AGroupThatNoPolicyUsesGoesWhenNobodyWaitsForIt) {
  upstream_.refuses_root = false;  // its first question ends soon
  run_policy();
  lookups_->resolve(a_of("host.example."), {.worker = 0, .query = 1});
  lookups_->use({}, limits_, {});
  lookups_->let_go();
  turn_until([&] { return delivered_.size() == 1; });
  EXPECT_TRUE(delivered_[0].result.fact);
  turn_until([&] { return !lookups_->has_answered(); });  // the group that had answered is gone
  lookups_->resolve(a_of("other.example."), {.worker = 0, .query = 2});
  ASSERT_EQ(delivered_.size(), 2U);
  EXPECT_EQ(delivered_[1].result.why, ResolveFailure::kBusy);
}

// Workers change one after the other: until all have, the others ask by the policy before.
TEST_F(LookupsTest, AGroupThatIsNotUsedAnyMoreIsAskedUntilItIsLetGo) {
  upstream_.refuses_root = false;  // its first question ends soon
  run_policy();
  turn_until([&] { return lookups_->has_answered(); });
  lookups_->use({}, limits_, {});
  for (int i = 0; i < 20; ++i) loop_->turn(10ms);  // nothing is outstanding
  lookups_->resolve(a_of("host.example."), {.worker = 1, .query = 1});
  turn_until([&] { return delivered_.size() == 1; });
  EXPECT_TRUE(delivered_[0].result.fact);
  lookups_->let_go();
  turn_until([&] { return !lookups_->has_answered(); });
}

TEST_F(LookupsTest, WhatIsAnsweredWithoutAnUpstreamDoesNotTellThatItLives) {
  groups_.at(3).upstreams[0].port = 9;  // nobody listens on the discard port of loopback
  groups_.at(3).local_zones = true;
  run_policy();
  for (const auto* name : {"localhost.", "host.test.", "1.0.0.127.in-addr.arpa."})
    lookups_->resolve(a_of(name), {.worker = 0, .query = 1});
  turn_until([&] { return delivered_.size() == 3; });
  EXPECT_TRUE(delivered_[0].result.fact);
  EXPECT_FALSE(lookups_->has_answered());
}

TEST_F(LookupsTest, AnUpstreamThatRefusesTheRootHasAnsweredNonetheless) {
  run_policy();
  turn_until([&] { return lookups_->has_answered(); });
}

TEST_F(LookupsTest, ARefreshOfWhatIsAskedAlreadyIsNone) {
  run_policy();
  lookups_->resolve(a_of("s1.example."), {.worker = 0, .query = 1});
  lookups_->resolve(a_of("s1.example."), {.query = 0});
  EXPECT_EQ(lookups_->refreshes(), 0U);
  lookups_->resolve(a_of("s2.example."), {.query = 0});
  EXPECT_EQ(lookups_->refreshes(), 1U);
}

}  // namespace
}  // namespace isthmus::dns64
