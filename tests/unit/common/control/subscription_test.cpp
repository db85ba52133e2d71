// SPDX-License-Identifier: Apache-2.0
// Whole conversations, without a socket.
#include "common/control/subscription.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "common/config/domain_lists.hpp"
#include "common/config/wire.hpp"
#include "common/config/yaml.hpp"
#include "tests/support/policies.hpp"

namespace isthmus {
namespace {

using std::chrono::seconds;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

v1::ControllerMessage policy(Version version, std::uint64_t nonce, const char* yaml = test::kSmallPolicy) {
  v1::ControllerMessage message;
  auto& update = *message.mutable_policy();
  *update.mutable_version() = to_proto(version);
  update.set_nonce(nonce);
  *update.mutable_policy() = parse_policy_yaml(yaml).value();
  return message;
}

v1::ControllerMessage invalid_policy(Version version, std::uint64_t nonce) {
  auto message = policy(version, nonce);
  message.mutable_policy()->mutable_policy()->mutable_translation_prefixes(0)->set_prefix("2001:db8::/72");
  return message;
}

struct Lease {
  const char* address;
  v1::Lease::OnExpiry on_expiry = v1::Lease::HOLD;
  bool withdrawn = false;
};

v1::ControllerMessage allocation(Version version, std::uint64_t nonce, const std::vector<Lease>& leases) {
  v1::ControllerMessage message;
  auto& update = *message.mutable_allocation();
  *update.mutable_version() = to_proto(version);
  update.set_nonce(nonce);
  for (const auto& lease : leases) {
    auto& out = *update.mutable_allocation()->add_addresses();
    out.set_address(lease.address);
    out.set_pool("public");
    out.set_on_expiry(lease.on_expiry);
    out.mutable_term()->set_seconds(60);
    out.set_withdrawn(lease.withdrawn);
  }
  return message;
}

v1::ControllerMessage health(Version version, std::uint64_t nonce) {
  v1::ControllerMessage message;
  auto& update = *message.mutable_health();
  *update.mutable_version() = to_proto(version);
  update.set_nonce(nonce);
  update.mutable_health()->add_nodes()->set_node_id("gw-1");
  return message;
}

// "ack policy 7 1.2", "nack policy 8 INVALID_CONFIG 1.2", "report", "renewal 203.0.113.1": one line per
// message.
std::vector<std::string> told(const Subscription::Step& step) {
  std::vector<std::string> lines;
  const auto version = [](const v1::Version& v) { return from_proto(v).to_string(); };
  for (const auto& message : step.send) {
    std::string line;
    if (message.has_hello()) {
      line = "hello";
      for (const auto& running : message.hello().running()) {
        line += " " + v1::Resource_Name(running.resource()) + " " + version(running.version());
      }
    } else if (message.has_ack()) {
      const auto& ack = message.ack();
      line = "ack " + v1::Resource_Name(ack.resource()) + " " + std::to_string(ack.nonce()) + " " +
             version(ack.running());
    } else if (message.has_nack()) {
      const auto& nack = message.nack();
      line = "nack " + v1::Resource_Name(nack.resource()) + " " + std::to_string(nack.nonce()) + " " +
             v1::Nack::Kind_Name(nack.kind()) + " " + version(nack.running());
    } else if (message.has_report()) {
      line = "report";
      for (const auto& address : message.report().addresses_released()) line += " " + address;
    } else if (message.has_lease_renewal()) {
      line = "renewal";
      for (const auto& address : message.lease_renewal().addresses()) line += " " + address;
    } else if (message.has_goodbye()) {
      line = "goodbye";
      for (const auto& address : message.goodbye().addresses_released()) line += " " + address;
    }
    lines.push_back(line);
  }
  return lines;
}

class SubscriptionTest : public testing::Test {
 protected:
  SubscriptionTest() { subscription_ = make(); }

  std::unique_ptr<Subscription> make() {
    ServiceIdentity identity;
    identity.node_id = "gw-1";
    identity.kind = v1::NAT64;
    ServiceHandlers handlers;
    handlers.on_policy = [this](const std::shared_ptr<const Policy>&, Version version) -> Applied {
      if (refusal_) return failure(*refusal_);
      applied_.push_back("policy " + version.to_string());
      return {};
    };
    handlers.on_allocation = [this](const Allocation& given, Version version) -> Applied {
      applied_.push_back("allocation " + version.to_string());
      held_.clear();
      for (const auto& lease : given.addresses) held_.push_back(lease.address);
      return {};
    };
    handlers.on_health = [this](const HealthySet&, Version version) -> Applied {
      applied_.push_back("health " + version.to_string());
      return {};
    };
    handlers.leases_held = [this] { return held_; };
    handlers.on_lease_deadlines = [this](const std::vector<LeaseDeadline>& all) { deadlines_ = all; };
    return std::make_unique<Subscription>(identity, handlers, seconds{2});
  }
  std::vector<std::string> say(const v1::ControllerMessage& message) {
    return told(subscription_->on_message(message, now_));
  }

  TimePoint now_{seconds{1000}};
  std::optional<Rejection> refusal_;
  std::vector<std::string> applied_;
  std::vector<Ipv4Address> held_;
  std::vector<LeaseDeadline> deadlines_;
  std::unique_ptr<Subscription> subscription_;
};

TEST_F(SubscriptionTest, AFirstConversation) {
  EXPECT_THAT(told(subscription_->on_stream_opened(now_)), ElementsAre("hello"));
  EXPECT_THAT(say(policy({1, 1}, 7)), ElementsAre("ack POLICY 7 1.1", "report"));
  EXPECT_THAT(say(allocation({1, 1}, 8, {{"203.0.113.1"}})),
              ElementsAre("ack ALLOCATION 8 1.1", "report", "renewal 203.0.113.1"));
  EXPECT_THAT(applied_, ElementsAre("policy 1.1", "allocation 1.1"));
  EXPECT_EQ(subscription_->status().policy_version, (Version{1, 1}));
  EXPECT_EQ(subscription_->status().last_heard, now_);
}

TEST_F(SubscriptionTest, AnInvalidPolicyIsRefusedWithItsPathAndWhatRanKeepsRunning) {
  (void)say(policy({1, 1}, 7));
  const auto step = subscription_->on_message(invalid_policy({1, 2}, 8), now_);
  EXPECT_THAT(told(step), ElementsAre("nack POLICY 8 INVALID_CONFIG 1.1"));
  EXPECT_THAT(step.send[0].nack().violations(0).path(), StartsWith("translation_prefixes[0]"));
  EXPECT_FALSE(step.state_changed);
  EXPECT_EQ(subscription_->status().policy_version, (Version{1, 1}));
  EXPECT_EQ(subscription_->status().rejected_total, 1U);
  EXPECT_THAT(subscription_->status().last_error, HasSubstr("translation_prefixes[0]"));
  EXPECT_THAT(applied_, ElementsAre("policy 1.1"));
}

TEST_F(SubscriptionTest, AGoodPolicyAfterARefusedOneClearsTheError) {
  (void)say(invalid_policy({1, 1}, 1));
  EXPECT_THAT(say(policy({1, 2}, 2)), ElementsAre("ack POLICY 2 1.2", "report"));
  EXPECT_EQ(subscription_->status().last_error, "");
}

TEST_F(SubscriptionTest, ANodeThatCannotSaysSo) {
  refusal_ = Rejection{Rejection::Kind::kNodeCannot, {{"", "no memory"}}};
  EXPECT_THAT(say(policy({1, 1}, 7)), ElementsAre("nack POLICY 7 NODE_CANNOT 0.0"));
}

TEST_F(SubscriptionTest, AHandlerThatThrowsIsANodeThatCannot) {
  ServiceHandlers handlers;
  handlers.on_policy = [](const auto&, Version) -> Applied { throw std::runtime_error("no such interface"); };
  Subscription subscription{{}, handlers, seconds{2}};
  const auto step = subscription.on_message(policy({1, 1}, 7), now_);
  EXPECT_THAT(told(step), ElementsAre("nack POLICY 7 NODE_CANNOT 0.0"));
  EXPECT_EQ(step.send[0].nack().violations(0).message(), "no such interface");
}

TEST_F(SubscriptionTest, AResourceThisServiceHasNoUseForIsRefused) {
  ServiceHandlers handlers;
  handlers.on_policy = [](const auto&, Version) -> Applied { return {}; };
  Subscription subscription{{}, handlers, seconds{2}};
  (void)subscription.on_message(policy({1, 1}, 7), now_);
  EXPECT_THAT(told(subscription.on_message(health({1, 1}, 8), now_)),
              ElementsAre("nack HEALTH 8 NODE_CANNOT 0.0"));
}

TEST_F(SubscriptionTest, AllocationAndHealthWaitForThePolicyTheyReferTo) {
  EXPECT_THAT(say(allocation({1, 1}, 1, {{"203.0.113.9"}})), IsEmpty());
  EXPECT_THAT(say(allocation({1, 2}, 2, {{"203.0.113.1"}})), IsEmpty());  // replaces the first
  EXPECT_THAT(say(health({1, 1}, 3)), IsEmpty());
  EXPECT_THAT(say(policy({1, 1}, 4)), ElementsAre("ack POLICY 4 1.1", "ack ALLOCATION 2 1.2",
                                                  "ack HEALTH 3 1.1", "report", "renewal 203.0.113.1"));
}

TEST_F(SubscriptionTest, ARefusedPolicyHoldsBackNeitherLeasesNorHealth) {
  (void)say(policy({1, 1}, 1));
  (void)say(invalid_policy({1, 2}, 2));
  EXPECT_THAT(say(allocation({1, 1}, 3, {})), ElementsAre("ack ALLOCATION 3 1.1", "report"));
  EXPECT_THAT(say(health({1, 1}, 4)), ElementsAre("ack HEALTH 4 1.1", "report"));
}

TEST_F(SubscriptionTest, WhatRunsAlreadyIsAckedWithoutDisturbance) {
  (void)say(policy({1, 1}, 7));
  EXPECT_THAT(told(subscription_->on_stream_opened(now_)), ElementsAre("hello POLICY 1.1"));
  const auto step = subscription_->on_message(policy({1, 1}, 1), now_);
  EXPECT_THAT(told(step), ElementsAre("ack POLICY 1 1.1"));
  EXPECT_FALSE(step.state_changed);
  EXPECT_THAT(applied_, ElementsAre("policy 1.1"));
}

TEST_F(SubscriptionTest, TheSameVersionWithOtherContentIsApplied) {
  (void)say(policy({1, 1}, 7));
  EXPECT_THAT(say(policy({1, 1}, 8, test::kFullPolicy)), ElementsAre("ack POLICY 8 1.1", "report"));
  EXPECT_THAT(applied_, ElementsAre("policy 1.1", "policy 1.1"));
}

TEST_F(SubscriptionTest, ReportsAndRenewalsComeWhenTheyAreDue) {
  (void)subscription_->on_stream_opened(now_);
  EXPECT_THAT(told(subscription_->on_timer(now_)), ElementsAre("report"));
  EXPECT_THAT(told(subscription_->on_timer(now_)), IsEmpty());
  EXPECT_EQ(subscription_->next_timer(), now_ + seconds{2});
  (void)say(policy({1, 1}, 7));
  (void)say(allocation({1, 1}, 8, {{"203.0.113.1"}, {"203.0.113.2"}}));
  now_ += seconds{19};
  EXPECT_THAT(told(subscription_->on_timer(now_)), ElementsAre("report"));
  now_ += seconds{1};  // a third of the 60 s term
  EXPECT_THAT(told(subscription_->on_timer(now_)), ElementsAre("renewal 203.0.113.1 203.0.113.2"));
}

TEST_F(SubscriptionTest, RenewalsAreNumbered) {
  (void)say(policy({1, 1}, 7));
  const auto first = subscription_->on_message(allocation({1, 1}, 8, {{"203.0.113.1"}}), now_);
  const auto second = subscription_->on_timer(now_ + seconds{20});
  ASSERT_TRUE(second.send.back().has_lease_renewal());
  EXPECT_GT(second.send.back().lease_renewal().sequence(), first.send.back().lease_renewal().sequence());
}

TEST_F(SubscriptionTest, AWithdrawnAddressIsToldInEveryReportOnceUnusedUntilItIsUnlisted) {
  (void)say(policy({1, 1}, 1));
  const auto withdrawing = allocation({1, 1}, 2, {{"203.0.113.1"}, {"203.0.113.2", v1::Lease::HOLD, true}});
  EXPECT_THAT(say(withdrawing),
              ElementsAre("ack ALLOCATION 2 1.1", "report", "renewal 203.0.113.1 203.0.113.2"));
  held_ = {Ipv4Address{203, 0, 113, 1}};  // drained
  for (int i = 0; i < 3; ++i) {
    now_ += seconds{2};
    EXPECT_THAT(told(subscription_->on_timer(now_)), ElementsAre("report 203.0.113.2"));
  }
  EXPECT_THAT(say(allocation({1, 2}, 3, {{"203.0.113.1"}})),
              ElementsAre("ack ALLOCATION 3 1.2", "report", "renewal 203.0.113.1"));
}

TEST_F(SubscriptionTest, AnAddressStillInUseIsNotReported) {
  (void)say(policy({1, 1}, 1));
  (void)say(allocation({1, 1}, 2, {{"203.0.113.2", v1::Lease::HOLD, true}}));
  EXPECT_THAT(told(subscription_->on_timer(now_ + seconds{2})), ElementsAre("report"));
}

TEST_F(SubscriptionTest, GoodbyeGivesTheLeasesBackAndForgetsThem) {
  (void)say(policy({1, 1}, 1));
  (void)say(allocation({1, 1}, 2, {{"203.0.113.1"}}));
  const auto step = subscription_->goodbye();
  EXPECT_THAT(told(step), ElementsAre("goodbye 203.0.113.1"));
  EXPECT_TRUE(step.state_changed);
  EXPECT_FALSE(subscription_->good_state().allocation);
  EXPECT_TRUE(subscription_->good_state().policy);
}

TEST_F(SubscriptionTest, ARefusalEndsTheStreamAndSaysWhenToComeBack) {
  v1::ControllerMessage message;
  message.mutable_refusal()->set_reason("node_id gw-1 is taken");
  message.mutable_refusal()->mutable_retry_after()->set_seconds(100000);
  const auto step = subscription_->on_message(message, now_);
  EXPECT_TRUE(step.end_stream);
  EXPECT_EQ(step.retry_after, seconds{60});
  EXPECT_THAT(subscription_->status().last_error, HasSubstr("node_id gw-1 is taken"));
  message.mutable_refusal()->mutable_retry_after()->set_seconds(1);
  message.mutable_refusal()->mutable_retry_after()->set_nanos(500'000'000);
  EXPECT_EQ(subscription_->on_message(message, now_).retry_after, std::chrono::milliseconds{1500});
}

TEST_F(SubscriptionTest, ARestartRunsWhatWasSaved) {
  (void)say(policy({1, 4}, 1));
  (void)say(allocation({1, 3}, 2, {{"203.0.113.1"}}));
  (void)say(health({1, 2}, 3));
  const auto saved = subscription_->good_state();
  applied_.clear();
  subscription_ = make();
  EXPECT_THAT(subscription_->restore(saved, now_), IsEmpty());
  EXPECT_THAT(applied_, ElementsAre("policy 1.4", "allocation 1.3", "health 1.2"));
  EXPECT_THAT(told(subscription_->on_stream_opened(now_)),
              ElementsAre("hello POLICY 1.4 ALLOCATION 1.3 HEALTH 1.2"));
}

TEST_F(SubscriptionTest, ARestartLeavesStopLeasesOutAndDoesNotClaimTheirVersion) {
  (void)say(policy({1, 1}, 1));
  (void)say(allocation({1, 3}, 2, {{"203.0.113.1", v1::Lease::STOP}, {"203.0.113.2"}}));
  const auto saved = subscription_->good_state();
  subscription_ = make();
  EXPECT_THAT(subscription_->restore(saved, now_), IsEmpty());
  EXPECT_THAT(held_, ElementsAre(Ipv4Address{203, 0, 113, 2}));
  EXPECT_THAT(told(subscription_->on_stream_opened(now_)), ElementsAre("hello POLICY 1.1 ALLOCATION 0.0"));
  // The controller sends the whole again: it is applied, not taken for what runs.
  (void)say(allocation({1, 3}, 9, {{"203.0.113.1", v1::Lease::STOP}, {"203.0.113.2"}}));
  EXPECT_EQ(held_.size(), 2U);
}

TEST_F(SubscriptionTest, ASavedPolicyThatNoLongerFitsIsNamedAndNothingElseIsUsed) {
  GoodState saved;
  saved.policy = invalid_policy({1, 1}, 1).policy();
  saved.allocation = allocation({1, 1}, 2, {{"203.0.113.1"}}).allocation();
  EXPECT_THAT(subscription_->restore(saved, now_), ElementsAre(StartsWith("the saved policy is not used: ")));
  EXPECT_THAT(applied_, IsEmpty());
  EXPECT_THAT(told(subscription_->on_stream_opened(now_)), ElementsAre("hello"));
}

TEST_F(SubscriptionTest, AStopLeaseIsUsableFromItsAnsweredRenewalUntilTheTermSinceItsSending) {
  (void)say(policy({1, 1}, 1));
  const auto step =
      subscription_->on_message(allocation({1, 1}, 2, {{"203.0.113.1", v1::Lease::STOP}}), now_);
  EXPECT_THAT(deadlines_, IsEmpty());
  EXPECT_EQ(subscription_->status().earliest_lease_stop, std::nullopt);
  ASSERT_TRUE(step.send.back().has_lease_renewal());
  v1::ControllerMessage answer;
  answer.mutable_lease_renewed()->set_sequence(step.send.back().lease_renewal().sequence());
  answer.mutable_lease_renewed()->add_addresses("203.0.113.1");
  const auto sent = now_;
  now_ += seconds{5};  // the answer took its time
  EXPECT_THAT(say(answer), IsEmpty());
  EXPECT_THAT(deadlines_,
              ElementsAre(LeaseDeadline{{203, 0, 113, 1}, sent + seconds{40}, sent + seconds{60}}));
  EXPECT_EQ(subscription_->status().earliest_lease_stop, sent + seconds{60});
  (void)subscription_->goodbye();
  EXPECT_EQ(subscription_->status().earliest_lease_stop, std::nullopt);
}

TEST_F(SubscriptionTest, MessagesWithoutMeaningAreIgnored) {
  v1::ControllerMessage chunk;
  chunk.mutable_chunk()->set_hash("00");
  EXPECT_THAT(say(chunk), IsEmpty());
  EXPECT_THAT(say({}), IsEmpty());
}

// --- lists -------------------------------------------------------------------------------------------------

class ListsTest : public SubscriptionTest {
 protected:
  ListsTest() {
    const auto cut = [](const char* text) { return cut_list(text, "").value().front(); };
    first_ = cut("a.example\n");
    second_ = cut("b.example\n");
    ServiceIdentity identity;
    identity.node_id = "dns-1";
    identity.kind = v1::DNS64;
    ServiceHandlers handlers;
    handlers.on_policy = [this](const std::shared_ptr<const Policy>& policy, Version version) -> Applied {
      applied_.push_back("policy " + version.to_string());
      names_.clear();
      for (const auto& list : policy->exclusions.never_synthesize_lists) {
        for (const auto& data : list.data) names_ += *data;
      }
      return {};
    };
    subscription_ = std::make_unique<Subscription>(identity, handlers, seconds{2});
    (void)subscription_->on_stream_opened(at(0));
  }
  static TimePoint at(int s) { return TimePoint{seconds{s}}; }

  static v1::ControllerMessage policy_with(std::vector<std::string> hashes, std::uint64_t nonce) {
    auto message = policy(Version{1, nonce}, nonce);
    auto& list =
        *message.mutable_policy()->mutable_policy()->mutable_exclusions()->add_never_synthesize_lists();
    list.set_file("ads.txt");
    for (auto& hash : hashes) list.add_chunks(std::move(hash));
    return message;
  }
  static v1::ControllerMessage chunk(const ListChunk& chunk) {
    v1::ControllerMessage message;
    message.mutable_chunk()->set_hash(chunk.hash);
    message.mutable_chunk()->set_data(*chunk.data);
    return message;
  }
  static std::vector<std::string> needed(const Subscription::Step& step) {
    std::vector<std::string> hashes;
    for (const auto& message : step.send) {
      for (const auto& hash : message.need_chunks().hashes()) hashes.push_back(hash);
    }
    return hashes;
  }

  ListChunk first_, second_;
  std::string names_;
};

TEST_F(ListsTest, APolicyWaitsForThePiecesThatAreNotHere) {
  auto step = subscription_->on_message(policy_with({first_.hash, second_.hash}, 1), at(1));
  EXPECT_THAT(needed(step), ElementsAre(first_.hash, second_.hash));
  EXPECT_THAT(applied_, IsEmpty());
  step = subscription_->on_message(chunk(first_), at(1));
  EXPECT_THAT(told(step), IsEmpty());
  step = subscription_->on_message(chunk(second_), at(1));
  EXPECT_THAT(told(step), Contains("ack POLICY 1 1.1"));
  EXPECT_EQ(names_, "a.example.\nb.example.\n");
  EXPECT_EQ(subscription_->good_state().chunks.size(), 2U);
}

TEST_F(ListsTest, WhatIsHereIsNotAskedForAgainAndWhatIsNotNamedGoes) {
  (void)subscription_->on_message(policy_with({first_.hash}, 1), at(1));
  (void)subscription_->on_message(chunk(first_), at(1));
  auto step = subscription_->on_message(policy_with({first_.hash, second_.hash}, 2), at(2));
  EXPECT_THAT(needed(step), ElementsAre(second_.hash));
  (void)subscription_->on_message(chunk(second_), at(2));
  step = subscription_->on_message(policy_with({second_.hash}, 3), at(3));
  EXPECT_THAT(needed(step), IsEmpty());
  EXPECT_THAT(told(step), Contains("ack POLICY 3 1.3"));
  EXPECT_EQ(names_, "b.example.\n");
  EXPECT_EQ(subscription_->good_state().chunks.size(), 1U);
}

TEST_F(ListsTest, APieceThatIsMissingOrFalseRefusesThePolicyAndWhatRanGoesOn) {
  (void)subscription_->on_message(policy_with({first_.hash}, 1), at(1));
  (void)subscription_->on_message(chunk(first_), at(1));
  (void)subscription_->on_message(policy_with({second_.hash}, 2), at(2));
  v1::ControllerMessage none;
  none.mutable_chunk()->set_hash(second_.hash);
  none.mutable_chunk()->set_missing(true);
  EXPECT_THAT(told(subscription_->on_message(none, at(2))), ElementsAre("nack POLICY 2 NODE_CANNOT 1.1"));
  (void)subscription_->on_message(policy_with({second_.hash}, 3), at(3));
  auto forged = chunk(second_);
  forged.mutable_chunk()->set_data("evil.example.\n");
  EXPECT_THAT(told(subscription_->on_message(forged, at(3))), ElementsAre("nack POLICY 3 NODE_CANNOT 1.1"));
  EXPECT_EQ(names_, "a.example.\n");
}

TEST_F(ListsTest, PiecesAreAskedForAFewAtATime) {
  std::vector<ListChunk> many;
  std::vector<std::string> hashes;
  for (int i = 0; i < 20; ++i) {
    many.push_back(cut_list("n" + std::to_string(i) + ".example", "").value().front());
    hashes.push_back(many.back().hash);
  }
  auto step = subscription_->on_message(policy_with(hashes, 1), at(1));
  EXPECT_EQ(needed(step).size(), 16U);
  for (int i = 0; i < 15; ++i)
    (void)subscription_->on_message(chunk(many[static_cast<std::size_t>(i)]), at(1));
  step = subscription_->on_message(chunk(many[15]), at(1));
  EXPECT_EQ(needed(step).size(), 4U);
  for (std::size_t i = 16; i < 20; ++i) step = subscription_->on_message(chunk(many[i]), at(1));
  EXPECT_THAT(told(step), Contains("ack POLICY 1 1.1"));
}

TEST_F(ListsTest, APieceNobodyAskedForIsNotKept) {
  (void)subscription_->on_message(chunk(first_), at(1));
  EXPECT_THAT(subscription_->good_state().chunks, IsEmpty());
}

TEST_F(ListsTest, ANat64ServiceHasNoUseForThem) {
  auto gateway = make();
  (void)gateway->on_stream_opened(at(0));
  const auto step = gateway->on_message(policy_with({first_.hash}, 1), at(1));
  EXPECT_THAT(needed(step), IsEmpty());
  EXPECT_THAT(told(step), Contains("ack POLICY 1 1.1"));
}

}  // namespace
}  // namespace isthmus
