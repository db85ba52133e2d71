// SPDX-License-Identifier: Apache-2.0
// Whole conversations, without a socket.
#include "controller/core/control_plane.hpp"

#include <gmock/gmock.h>

namespace isthmus::controller {
namespace {

using std::chrono::seconds;
using testing::IsEmpty;
using testing::SizeIs;

constexpr std::uint64_t kEpoch = 100;

std::shared_ptr<const Policy> small_policy(const char* addresses = "203.0.113.0/30") {
  auto p = std::make_shared<Policy>();
  p->pools.resize(1);
  p->pools[0].name = "public";
  p->pools[0].addresses = {*Ipv4Prefix::parse(addresses)};
  p->translation_prefixes.resize(1);
  p->translation_prefixes[0].name = "steered";
  p->translation_prefixes[0].prefix = *Ipv6Prefix::parse("2001:db8:64::/64");
  p->translation_prefixes[0].assignment = Assignment::kPerNode;
  return p;
}

class ControlPlaneTest : public testing::Test {
 protected:
  ControlPlaneTest() { plane.set_policy(small_policy(), now); }

  static Hello hello(const std::string& node, ServiceKind kind = ServiceKind::kNat64) {
    Hello h;
    h.node_id = node;
    h.incarnation = "first";
    h.boot_id = "boot";
    h.machine = "machine-" + node;
    h.kind = kind;
    return h;
  }
  // Settles and returns what goes out of one type.
  template <class T>
  std::vector<T> out() {
    plane.settle(now);
    std::vector<T> result;
    outcome = plane.take();
    for (auto& action : outcome.actions) {
      if (auto* wanted = std::get_if<T>(&action)) result.push_back(*wanted);
    }
    return result;
  }
  // Settles and acks everything, as a service that is well does.
  void obey() {
    for (int round = 0; round < 4; ++round) {  // the first answers what out() has shown
      if (round > 0) {
        plane.settle(now);
        outcome = plane.take();
      }
      for (const auto& action : outcome.actions) {
        if (const auto* p = std::get_if<SendPolicy>(&action))
          plane.on_ack(p->session, Resource::kPolicy, p->nonce, p->version, now);
        if (const auto* a = std::get_if<SendAllocation>(&action)) {
          plane.on_ack(a->session, Resource::kAllocation, a->nonce, a->version, now);
          last_allocation[a->session] = a->allocation;
        }
        if (const auto* h = std::get_if<SendHealth>(&action)) {
          plane.on_ack(h->session, Resource::kHealth, h->nonce, h->version, now);
          last_health = h->health;
        }
      }
    }
  }
  void serving(SessionId session) { plane.on_report(session, {.serving = true, .released = {}}, now); }
  [[nodiscard]] const ServiceRecord& nat64(const std::string& node) const {
    return plane.services().at({ServiceKind::kNat64, node});
  }

  TimePoint now{seconds{1000}};
  ControlPlane plane{Settings{.adopt_grace = seconds{3}}, kEpoch, now};
  Outcome outcome;
  std::map<SessionId, Allocation> last_allocation;
  std::shared_ptr<const HealthySet> last_health;
};

TEST_F(ControlPlaneTest, ANodeGetsPolicyAtOnceAndAddressesAfterTheGrace) {
  plane.on_hello(1, hello("gw1"), now);
  EXPECT_THAT(out<SendPolicy>(), SizeIs(1));
  obey();
  EXPECT_THAT(plane.leases().held_by(nat64("gw1").holder()), IsEmpty());
  now += seconds{3};
  obey();
  EXPECT_THAT(last_allocation[1].addresses, testing::Not(IsEmpty()));
  EXPECT_THAT(last_allocation[1].node_prefixes, SizeIs(1));
}

TEST_F(ControlPlaneTest, AfterARestartNothingThatALivingNodeReportedIsGrantedToAnother) {
  auto holder = hello("gw1");
  for (std::uint32_t i = 0; i < 4; ++i)
    holder.leases_held.emplace_back(Ipv4Address{203, 0, 113, 0}.value() + i);
  plane.on_hello(1, holder, now);
  plane.on_hello(2, hello("gw2"), now);
  now += seconds{4};
  obey();
  EXPECT_THAT(plane.leases().held_by(nat64("gw2").holder()), IsEmpty());
  const auto& own = plane.leases().held_by(nat64("gw1").holder());
  EXPECT_THAT(own, SizeIs(4)) << "one is withdrawing for the other, and still its own";
}

TEST_F(ControlPlaneTest, ARefusedPolicyHoldsBackNeitherLeasesNorHealth) {
  now += seconds{3};
  plane.on_hello(1, hello("gw1"), now);
  const auto policies = out<SendPolicy>();
  ASSERT_THAT(policies, SizeIs(1));
  plane.on_nack(1, Resource::kPolicy, policies[0].nonce, {}, NackKind::kInvalidConfig,
                {{"nat64", "no memory"}}, now);
  obey();
  EXPECT_EQ(RolloutState::kRejected, nat64("gw1").rollout[index_of(Resource::kPolicy)].state());
  EXPECT_EQ(RolloutState::kApplied, nat64("gw1").rollout[index_of(Resource::kAllocation)].state());
  plane.set_policy(small_policy(), now);
  EXPECT_THAT(out<SendPolicy>(), SizeIs(1)) << "a new one is tried";
}

TEST_F(ControlPlaneTest, DnsHearsOfANodeOnlyWhenItAckedThePolicyAndServes) {
  plane.on_hello(9, hello("dns1", ServiceKind::kDns64), now);
  plane.on_hello(1, hello("gw1"), now);
  serving(1);
  (void)out<SendPolicy>();
  EXPECT_THAT(plane.health().published(), IsEmpty()) << "it has not acked";
  obey();
  ASSERT_NE(nullptr, last_health);
  ASSERT_THAT(last_health->nodes, SizeIs(1));
  EXPECT_EQ("gw1", last_health->nodes[0].node_id);
  EXPECT_THAT(last_health->nodes[0].prefixes, SizeIs(1));
}

TEST_F(ControlPlaneTest, ASilentNodeIsNotConnectedButKeepsItsAddresses) {
  now += seconds{3};
  plane.on_hello(1, hello("gw1"), now);
  obey();
  const auto held = plane.leases().held_by(nat64("gw1").holder());
  now += seconds{6};
  EXPECT_THAT(out<EndSession>(), SizeIs(1));
  EXPECT_FALSE(nat64("gw1").connected());
  EXPECT_EQ(held, plane.leases().held_by(nat64("gw1").holder()));
}

TEST_F(ControlPlaneTest, ARestartOnTheSameMachineTakesOverAndTheOldStreamCountsNoMore) {
  now += seconds{3};
  plane.on_hello(1, hello("gw1"), now);
  obey();
  const auto held = plane.leases().held_by(nat64("gw1").holder());
  ASSERT_THAT(held, testing::Not(IsEmpty()));
  auto again = hello("gw1");
  again.incarnation = "second";
  plane.on_hello(2, again, now);
  EXPECT_THAT(out<EndSession>(), SizeIs(1));
  plane.on_goodbye(1, {held.begin(), held.end()}, now);  // late, from the dead
  obey();
  EXPECT_EQ(held, plane.leases().held_by(nat64("gw1").holder()));
  EXPECT_EQ(2U, nat64("gw1").session);
}

TEST_F(ControlPlaneTest, ASecondMachineWithTheSameNodeIdIsRefusedAndSeen) {
  plane.on_hello(1, hello("gw1"), now);
  auto twin = hello("gw1");
  twin.machine = "another";
  twin.incarnation = "second";
  plane.on_hello(2, twin, now);
  const auto ended = out<EndSession>();
  ASSERT_THAT(ended, SizeIs(1));
  EXPECT_EQ(2U, ended[0].session);
  EXPECT_THAT(nat64("gw1").rivals, SizeIs(1));
  now += seconds{4};
  plane.on_report(1, {.released = {}}, now);
  now += seconds{4};
  plane.on_report(1, {.released = {}}, now);
  now += seconds{4};
  plane.settle(now);
  EXPECT_THAT(nat64("gw1").rivals, IsEmpty()) << "it went away";
}

TEST_F(ControlPlaneTest, AGoodbyeFreesTheAddressesAndTheNodeGetsThemBackOnReturn) {
  now += seconds{3};
  plane.on_hello(1, hello("gw1"), now);
  obey();
  const auto held = plane.leases().held_by(nat64("gw1").holder());
  plane.on_goodbye(1, {held.begin(), held.end()}, now);
  obey();
  EXPECT_THAT(plane.leases().held_by(nat64("gw1").holder()), IsEmpty());
  plane.on_hello(2, hello("gw2"), now);
  plane.on_hello(3, hello("gw1"), now);
  obey();
  EXPECT_EQ(held, plane.leases().held_by(nat64("gw1").holder()));
}

TEST_F(ControlPlaneTest, AWithdrawnAddressIsListedUntilItsReleaseIsToldAfterTheAck) {
  now += seconds{3};
  plane.on_hello(1, hello("gw1"), now);
  obey();
  plane.set_policy(small_policy("198.51.100.0/30"), now);
  const auto updates = out<SendAllocation>();
  ASSERT_THAT(updates, SizeIs(1));
  const auto withdrawn = Ipv4Address{203, 0, 113, 0};
  const auto it = std::ranges::find(updates[0].allocation.addresses, withdrawn, &LeasedAddress::address);
  ASSERT_NE(updates[0].allocation.addresses.end(), it);
  EXPECT_TRUE(it->withdrawn);
  EXPECT_TRUE(it->withdraw_within.has_value());

  plane.on_report(1, {.serving = true, .released = {withdrawn}}, now);
  EXPECT_EQ(LeaseState::kWithdrawing, plane.leases().find(withdrawn)->state) << "told before the ack";
  plane.on_ack(1, Resource::kAllocation, updates[0].nonce, updates[0].version, now);
  plane.on_report(1, {.serving = true, .released = {withdrawn}}, now);
  EXPECT_EQ(LeaseState::kQuarantined, plane.leases().find(withdrawn)->state);
}

TEST_F(ControlPlaneTest, OurEpochRisesAboveAnyThatAServiceSaw) {
  auto h = hello("gw1");
  h.running[index_of(Resource::kPolicy)] = {kEpoch + 50, 7};
  plane.on_hello(1, h, now);
  const auto policies = out<SendPolicy>();
  ASSERT_THAT(policies, SizeIs(1));
  EXPECT_GT(policies[0].version, (Version{kEpoch + 50, 7}));
}

TEST_F(ControlPlaneTest, AServiceThatRunsAllOfItIsSentNothing) {
  plane.on_hello(9, hello("dns1", ServiceKind::kDns64), now);
  obey();
  const auto& rollout = plane.services().at({ServiceKind::kDns64, "dns1"}).rollout;
  auto again = hello("dns1", ServiceKind::kDns64);
  for (std::size_t i = 0; i < rollout.size(); ++i) again.running[i] = rollout[i].running();
  plane.on_hello(10, again, now);
  EXPECT_THAT(out<SendPolicy>(), IsEmpty());
  EXPECT_EQ(RolloutState::kApplied, rollout[index_of(Resource::kHealth)].state());
}

TEST_F(ControlPlaneTest, ANodeModeNodeGetsNoLeases) {
  now += seconds{3};
  auto h = hello("k8s-node");
  h.capabilities.emplace_back(kNodeModeCapability);
  plane.on_hello(1, h, now);
  obey();
  EXPECT_THAT(last_allocation[1].addresses, IsEmpty());
}

TEST_F(ControlPlaneTest, WhatASessionThatNeverSaidHelloSendsMeansNothing) {
  plane.on_report(77, {.serving = true, .released = {}}, now);
  plane.on_ack(77, Resource::kPolicy, 1, {}, now);
  plane.on_goodbye(77, {}, now);
  EXPECT_THAT(plane.services(), IsEmpty());
}

TEST_F(ControlPlaneTest, ADrainedNodeLeavesTheAnswersThenItsAddressesAndComesBack) {
  now += seconds{3};
  auto policy = std::make_shared<Policy>(*small_policy());
  policy->dns64.views.resize(1);
  policy->dns64.views[0].steering_ttl = seconds{30};
  plane.set_policy(policy, now);
  plane.on_hello(9, hello("dns1", ServiceKind::kDns64), now);
  plane.on_hello(1, hello("gw1"), now);
  serving(1);
  obey();
  obey();
  ASSERT_THAT(last_health->nodes, SizeIs(1));
  const auto held = plane.leases().held_by(nat64("gw1").holder());
  ASSERT_THAT(held, testing::Not(IsEmpty()));

  plane.drain({.node_id = "gw1", .since = {}, .began = {}, .author = "", .comment = ""}, now);
  const auto sent = out<SendHealth>();
  ASSERT_THAT(sent, SizeIs(1));
  EXPECT_THAT(sent[0].health->nodes, IsEmpty());
  EXPECT_FALSE(plane.health().held()) << "it leaves on purpose";
  EXPECT_EQ(DrainStage::kLeavingAnswers, plane.drain_of("gw1")->stage) << "dns1 has not acked";
  obey();
  EXPECT_EQ(DrainStage::kAccepting, plane.drain_of("gw1")->stage);
  EXPECT_FALSE(last_allocation[1].draining);

  const auto both_live = [&](Duration time) {
    for (Duration passed{}; passed < time; passed += seconds{2}) {
      now += seconds{2};
      plane.on_report(1, {.serving = true, .released = {}}, now);
      plane.on_report(9, {.serving = true, .released = {}}, now);
      obey();
    }
  };
  both_live(seconds{28});
  EXPECT_EQ(DrainStage::kAccepting, plane.drain_of("gw1")->stage);
  both_live(seconds{4});
  EXPECT_EQ(DrainStage::kReleasing, plane.drain_of("gw1")->stage);
  EXPECT_TRUE(last_allocation[1].draining);
  for (const auto& lease : last_allocation[1].addresses) EXPECT_TRUE(lease.withdrawn);

  plane.undrain("gw1", now);
  obey();
  EXPECT_FALSE(last_allocation[1].draining);
  for (const auto& lease : last_allocation[1].addresses) EXPECT_FALSE(lease.withdrawn);
  EXPECT_THAT(last_health->nodes, SizeIs(1));
}

// Clients hold answers with the TTL of the policy before.
TEST_F(ControlPlaneTest, ADrainWaitsForAnswersThatAnEarlierPolicyGave) {
  const auto with_steering_ttl = [](Duration ttl) {
    auto policy = std::make_shared<Policy>(*small_policy());
    policy->dns64.views.resize(1);
    policy->dns64.views[0].steering_ttl = ttl;
    return policy;
  };
  now += seconds{3};
  plane.set_policy(with_steering_ttl(std::chrono::hours{1}), now);
  plane.on_hello(1, hello("gw1"), now);
  serving(1);
  obey();
  plane.set_policy(with_steering_ttl(seconds{30}), now);
  const auto lowered = now;
  obey();
  now += seconds{2};
  serving(1);
  plane.drain({.node_id = "gw1", .since = {}, .began = {}, .author = "", .comment = ""}, now);
  obey();
  ASSERT_EQ(DrainStage::kAccepting, plane.drain_of("gw1")->stage);
  EXPECT_EQ(lowered + std::chrono::hours{1}, plane.answers_until(*plane.drain_of("gw1")));
  now = lowered + std::chrono::minutes{59};
  obey();
  EXPECT_EQ(DrainStage::kAccepting, plane.drain_of("gw1")->stage);
  now = lowered + std::chrono::hours{1};
  obey();
  EXPECT_EQ(DrainStage::kReleasing, plane.drain_of("gw1")->stage);
}

TEST_F(ControlPlaneTest, ADrainedNodeThatReleasedAllIsDrainedAndGetsNothingMore) {
  now += seconds{3};
  plane.on_hello(1, hello("gw1"), now);
  serving(1);
  obey();
  plane.drain({.node_id = "gw1", .since = {}, .began = {}, .author = "", .comment = ""}, now);
  obey();
  obey();
  ASSERT_EQ(DrainStage::kReleasing, plane.drain_of("gw1")->stage) << "no answers to wait for";
  const auto held = plane.leases().held_by(nat64("gw1").holder());
  plane.on_report(1, {.serving = false, .released = {held.begin(), held.end()}}, now);
  obey();
  EXPECT_EQ(DrainStage::kDrained, plane.drain_of("gw1")->stage);
  EXPECT_THAT(last_allocation[1].addresses, IsEmpty());
  EXPECT_THAT(last_allocation[1].node_prefixes, IsEmpty());
}

TEST_F(ControlPlaneTest, ANodeWhoseUplinkIsDownLeavesTheAnswers) {
  for (SessionId i = 1; i <= 3; ++i) {
    plane.on_hello(i, hello("gw" + std::to_string(i)), now);
    serving(i);
  }
  (void)out<SendPolicy>();
  obey();
  ASSERT_THAT(plane.health().published(), SizeIs(3));
  plane.on_report(2, {.serving = true, .fit = false, .released = {}}, now);
  plane.settle(now);
  EXPECT_THAT(plane.health().published(), testing::UnorderedElementsAre("gw1", "gw3"));
}

TEST_F(ControlPlaneTest, ANodeThatCouldNotIsAskedAgainAndTheWavesGoOnWhenItCan) {
  plane.on_hello(1, hello("gw1"), now);
  plane.on_hello(2, hello("gw2"), now);
  (void)out<SendPolicy>();
  obey();
  plane.set_policy(PolicySteps{.target = {small_policy(), nullptr},
                               .bridge = {},
                               .interim = {},
                               .staged = {true, true},
                               .retired = {}},
                   now);
  auto sent = out<SendPolicy>();
  ASSERT_THAT(sent, SizeIs(1));
  plane.on_nack(1, Resource::kPolicy, sent[0].nonce, {}, NackKind::kNodeCannot, {{"", "no memory"}}, now);
  EXPECT_THAT(out<SendPolicy>(), IsEmpty());
  const auto stops = [&] {
    return std::ranges::count(outcome.events, EventKind::kRolloutStopped, &Event::kind);
  };
  EXPECT_EQ(1, stops());
  now += Rollout::kFirstRetry - seconds{1};
  for (SessionId i = 1; i <= 2; ++i) serving(i);
  EXPECT_THAT(out<SendPolicy>(), IsEmpty());
  now += seconds{1};
  sent = out<SendPolicy>();
  ASSERT_THAT(sent, SizeIs(1)) << "the same node, once more, and no other";
  EXPECT_EQ(1U, sent[0].session);
  EXPECT_EQ(0, stops()) << "it is still the same stop";
  plane.on_ack(1, Resource::kPolicy, sent[0].nonce, sent[0].version, now);
  EXPECT_THAT(out<SendPolicy>(), IsEmpty()) << "the canary soaks";
  for (int i = 0; i < 12; ++i) {
    now += seconds{1};
    serving(1);
    serving(2);
    obey();
    plane.settle(now);
    outcome = plane.take();
  }
  EXPECT_EQ(plane.policy_version(), nat64("gw2").rollout[index_of(Resource::kPolicy)].running());
  EXPECT_EQ(RolloutPhase::kDone, plane.rollout().phase());
}

TEST(ControlPlaneWithoutPolicy, WhoComesHearsASignOfLifeAndIsNotSilentAsLongAsItReports) {
  TimePoint now{seconds{1000}};
  ControlPlane plane{Settings{}, 7, now};
  Hello hello;
  hello.node_id = "dns1";
  hello.incarnation = hello.boot_id = "a";
  plane.on_hello(1, hello, now);
  plane.settle(now);
  const auto outcome = plane.take();
  ASSERT_THAT(outcome.actions, SizeIs(1));
  EXPECT_TRUE(std::holds_alternative<SendRenewed>(outcome.actions.front()));
  for (int i = 0; i < 10; ++i) {
    now += seconds{2};
    plane.on_report(1, {}, now);
    plane.settle(now);
    EXPECT_THAT(plane.take().actions, IsEmpty());
  }
}

TEST_F(ControlPlaneTest, APolicyThatANodeRefusesReachesNoFurtherNodeAndNoDns) {
  for (SessionId i = 1; i <= 3; ++i) plane.on_hello(i, hello("gw" + std::to_string(i)), now);
  plane.on_hello(9, hello("dns1", ServiceKind::kDns64), now);
  (void)out<SendPolicy>();
  obey();
  plane.set_policy(PolicySteps{.target = {small_policy(), nullptr},
                               .bridge = {},
                               .interim = {},
                               .staged = {true, true},
                               .retired = {}},
                   now);
  const auto sent = out<SendPolicy>();
  ASSERT_THAT(sent, SizeIs(1)) << "the canary";
  plane.on_nack(sent[0].session, Resource::kPolicy, sent[0].nonce, {}, NackKind::kInvalidConfig,
                {{"nat64", "no"}}, now);
  now += seconds{1};
  EXPECT_THAT(out<SendPolicy>(), IsEmpty());
  EXPECT_TRUE(std::ranges::any_of(outcome.events,
                                  [](const Event& e) { return e.kind == EventKind::kRolloutStopped; }));
  now += seconds{3};
  EXPECT_THAT(out<SendPolicy>(), IsEmpty());
  EXPECT_EQ(RolloutPhase::kNat64, plane.rollout().phase());
}

TEST_F(ControlPlaneTest, PoolsFollowThePolicyWhenEveryNodeRunsIt) {
  now += seconds{3};
  for (SessionId i = 1; i <= 2; ++i) plane.on_hello(i, hello("gw" + std::to_string(i)), now);
  (void)out<SendPolicy>();
  obey();
  plane.set_policy(PolicySteps{.target = {small_policy("198.51.100.0/30"), nullptr},
                               .bridge = {},
                               .interim = {},
                               .staged = {false, true},
                               .retired = {}},
                   now);
  EXPECT_EQ(nullptr, plane.leases().find({198, 51, 100, 0}));
  (void)out<SendPolicy>();
  obey();
  for (int i = 0; i < 6; ++i) {
    now += seconds{2};
    for (SessionId s = 1; s <= 2; ++s) plane.on_report(s, {.serving = true, .released = {}}, now);
    obey();
  }
  EXPECT_EQ(RolloutPhase::kDone, plane.rollout().phase());
  EXPECT_NE(nullptr, plane.leases().find({198, 51, 100, 0}));
}

TEST_F(ControlPlaneTest, FencingAMachineLeavesItsTwinTheAddressesThatItForwardsFor) {
  now += seconds{3};
  plane.on_hello(1, hello("gw1"), now);
  obey();
  const Holder first = nat64("gw1").holder();
  const auto held = plane.leases().held_by(first);
  ASSERT_THAT(held, testing::Not(IsEmpty()));
  now += seconds{6};  // it is cut off, and forwards on
  obey();
  auto twin = hello("gw1");
  twin.machine = "twin";
  plane.on_hello(2, twin, now);
  obey();
  const Holder second{"gw1", "twin"};
  plane.fence(second, now);
  EXPECT_THAT(out<EndSession>(), SizeIs(1));
  EXPECT_EQ(held, plane.leases().held_by(first));
  EXPECT_THAT(plane.leases().held_by(second), IsEmpty());
  plane.fence(first, now);
  EXPECT_THAT(plane.leases().held_by(first), IsEmpty());
}

TEST_F(ControlPlaneTest, FencingTheMachineThatIsGoneLeavesItsTwinConnected) {
  now += seconds{3};
  plane.on_hello(1, hello("gw1"), now);
  obey();
  now += seconds{6};
  obey();
  auto twin = hello("gw1");
  twin.machine = "twin";
  plane.on_hello(2, twin, now);
  obey();
  plane.fence({"gw1", "machine-gw1"}, now);
  EXPECT_THAT(out<EndSession>(), IsEmpty());
  EXPECT_TRUE(nat64("gw1").connected());
  EXPECT_FALSE(nat64("gw1").left);
}

TEST_F(ControlPlaneTest, AHelloOfAnOlderStreamThatComesLateDoesNotReplaceTheNewerOne) {
  plane.on_hello(5, hello("gw1"), now);
  plane.on_hello(4, hello("gw1"), now);
  auto ended = out<EndSession>();
  ASSERT_THAT(ended, SizeIs(1));
  EXPECT_EQ(4U, ended[0].session);
  EXPECT_EQ(5U, nat64("gw1").session);
  plane.on_closed(5, now);
  plane.on_hello(3, hello("gw1"), now);
  EXPECT_FALSE(nat64("gw1").connected()) << "also when the newer one has ended";
  plane.on_hello(6, hello("gw1"), now);
  EXPECT_TRUE(nat64("gw1").connected());
}

TEST_F(ControlPlaneTest, AfterARestoreItSaysOnceAMinuteWhomItAwaitsAndAFenceEndsTheWait) {
  Memory memory{.epoch = kEpoch + 1, .settling = true, .leases = {}, .nodes = {}};
  const Holder gone{"gw1", "machine-gw1"};
  memory.nodes.push_back({gone, KnownNode{"boot", "first", now}});
  ControlPlane again{Settings{.adopt_grace = seconds{3}}, memory, now};
  again.set_policy(small_policy(), now);
  int told = 0;
  std::string text;
  for (int i = 0; i < 130; ++i) {
    again.settle(now);
    for (const auto& event : again.take().events) {
      if (event.kind != EventKind::kAwaited) continue;
      ++told;
      text = event.text;
    }
    now += seconds{1};
  }
  EXPECT_EQ(3, told);
  EXPECT_NE(std::string::npos, text.find("gw1 (machine machine-gw1)"));
  EXPECT_TRUE(again.settling());
  again.fence(gone, now);  // it holds no lease that is known
  again.settle(now);
  EXPECT_FALSE(again.settling());
  EXPECT_TRUE(again.take().changed_nodes.contains(gone)) << "the store forgets it, too";
}

TEST_F(ControlPlaneTest, TooManyAtOnceAreToldWhenToComeAndNothingIsGrantedBeforeTheyCould) {
  ControlPlane small{Settings{.adopt_grace = seconds{3}, .hellos_per_second = 2}, kEpoch, now};
  small.set_policy(small_policy(), now);
  for (SessionId i = 1; i <= 12; ++i) small.on_hello(i, hello("gw" + std::to_string(i)), now);
  small.settle(now);
  Duration longest{};
  std::size_t away = 0;
  for (const auto& action : small.take().actions) {
    const auto* end = std::get_if<EndSession>(&action);
    if (end == nullptr) continue;
    ++away;
    longest = std::max(longest, end->retry_after);
  }
  EXPECT_EQ(10U, away);
  EXPECT_EQ(10U, small.turned_away());
  EXPECT_GE(longest, seconds{5});
  small.settle(now + seconds{4});
  EXPECT_TRUE(small.settling()) << "who was sent away may hold an address";
  small.settle(now + longest + seconds{3});
  EXPECT_FALSE(small.settling());
}

TEST_F(ControlPlaneTest, MachinesThatComeAndGoLeaveNothingBehind) {
  now += seconds{3};
  auto node = hello("gw1");
  node.capabilities.emplace_back(kNodeModeCapability);
  for (SessionId i = 1; i <= 50; ++i) {  // a node without a state directory: another machine with each start
    node.machine = "machine-" + std::to_string(i);
    node.incarnation = std::to_string(i);
    plane.on_hello(i, node, now);
    obey();
    plane.on_goodbye(i, {}, now);
    plane.settle(now);
  }
  EXPECT_LE(plane.leases().remembered(), 2U);
  now += std::chrono::hours{1};
  plane.settle(now);
  EXPECT_EQ(0U, plane.leases().remembered());
  EXPECT_THAT(plane.services(), IsEmpty());
}

TEST_F(ControlPlaneTest, AnAddressGoesFromANodeWithLittleUseToOneThatRunsShort) {
  now += seconds{3};
  plane.on_hello(1, hello("gw1"), now);
  obey();
  const auto reports = [&](std::uint64_t first, std::uint64_t second, Duration time) {
    for (Duration passed{}; passed < time; passed += seconds{2}) {
      now += seconds{2};
      plane.on_report(1, {.serving = true, .blocks_used = first, .blocks_total = 100, .released = {}}, now);
      if (second > 0)
        plane.on_report(2, {.serving = true, .blocks_used = second, .blocks_total = 100, .released = {}},
                        now);
      obey();
    }
  };
  reports(90, 0, seconds{10});
  ASSERT_THAT(plane.leases().held_by(nat64("gw1").holder()), SizeIs(4));
  plane.on_hello(2, hello("gw2"), now);
  obey();
  const auto withdrawing = [&] {
    return std::ranges::count_if(plane.leases().leases(), [](const auto& entry) {
      return entry.second.state == LeaseState::kWithdrawing;
    });
  };
  ASSERT_EQ(1, withdrawing()) << "for a node without one";
  for (const auto& [address, lease] : plane.leases().leases()) {
    if (lease.state == LeaseState::kWithdrawing)
      plane.on_report(1, {.serving = true, .released = {address}}, now);
  }
  reports(60, 5, seconds{300});  // the address rests, then is the newcomer's
  ASSERT_THAT(plane.leases().held_by(nat64("gw2").holder()), SizeIs(1));
  reports(10, 90, seconds{100});
  EXPECT_EQ(0, withdrawing()) << "little use, but not for long";
  reports(10, 90, seconds{210});
  EXPECT_EQ(1, withdrawing());
}

TEST_F(ControlPlaneTest, AControllerThatBeganAgainWaitsForItsNodesBeforeDnsGetsANewPolicy) {
  Memory memory{.epoch = kEpoch + 1, .settling = false, .leases = {}, .nodes = {}};
  memory.nodes.push_back({Holder{"gw1", "machine-gw1"}, KnownNode{"boot", "first", now}});
  ControlPlane again{Settings{.adopt_grace = seconds{3}}, memory, now};
  again.set_policy(small_policy(), now);
  again.set_policy(PolicySteps{.target = {small_policy("203.0.113.0/29"), nullptr},
                               .bridge = {},
                               .interim = {},
                               .staged = {true, true},
                               .retired = {}},
                   now);
  again.settle(now);
  EXPECT_EQ(RolloutPhase::kNat64, again.rollout().phase());
  again.on_hello(1, hello("gw1"), now);
  now += seconds{2};
  again.settle(now);
  EXPECT_EQ(RolloutPhase::kNat64, again.rollout().phase());
}

}  // namespace
}  // namespace isthmus::controller
