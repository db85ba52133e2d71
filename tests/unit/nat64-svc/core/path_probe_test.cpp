// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/core/path_probe.hpp"

#include <gtest/gtest.h>

#include "tests/support/nat64_harness.hpp"

namespace isthmus::nat64 {
namespace {

using namespace std::chrono_literals;
using State = PathProbe::State;

Policy policy_with_probe() {
  auto policy = test::nat64_policy();
  policy.nat64.probe = ProbePolicy{Ipv6Address::parse("2001:db8:1::ffff").value(),
                                   Ipv4Address::parse("198.41.0.4").value(), 2s};
  return policy;
}

struct Case {
  test::Nat64Harness nat{policy_with_probe()};
  PathProbe probe;

  Case() { configure(policy_with_probe()); }
  void configure(const Policy& policy, RuntimeOptions options = {}) {
    probe.configure(*make_runtime(policy, test::nat64_allocation(), options).value(), nat.now);
  }
  // A question through the translator; the answer, when there is one, through it back.
  bool ask(bool answered) {
    const auto question = probe.ask(nat.now);
    if (!question) return false;
    const auto sent = nat.from_v6({question->begin(), question->end()});
    EXPECT_EQ(sent.verdict.action, Verdict::Action::kForward) << kDropReasonNames[sent.verdict.reason];
    if (!answered) return true;
    auto answer = sent.packet;  // turned round
    std::swap_ranges(answer.begin() + 12, answer.begin() + 16, answer.begin() + 16);
    answer[20] = 0;
    const std::uint32_t sum = load_be16(&answer[22]) + 0x0800U;  // of the type that changed
    store_be16(&answer[22], static_cast<std::uint16_t>(sum + (sum >> 16)));
    const auto back = nat.from_v4(answer);
    EXPECT_EQ(back.verdict.action, Verdict::Action::kForward) << kDropReasonNames[back.verdict.reason];
    EXPECT_TRUE(probe.takes(back.packet, nat.now + 30ms));
    return true;
  }
};

TEST(PathProbe, AsksThroughTheTranslationAndKnowsItsAnswer) {
  Case c;
  EXPECT_EQ(c.probe.state(), State::kWaiting);
  EXPECT_TRUE(c.ask(true));
  EXPECT_EQ(c.probe.state(), State::kAnswered);
  EXPECT_EQ(c.probe.round_trip(), Duration{30ms});
  EXPECT_FALSE(c.ask(true)) << "not before its time";
  c.nat.advance(2s);
  EXPECT_TRUE(c.ask(true));
}

TEST(PathProbe, ThreeWithoutAnAnswerAreEnoughAndOneAnswerMends) {
  Case c;
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(c.ask(false));
    EXPECT_EQ(c.probe.state(), State::kWaiting);
    c.nat.advance(2s);
  }
  EXPECT_TRUE(c.ask(false));
  EXPECT_EQ(c.probe.state(), State::kUnanswered);
  c.nat.advance(2s);
  EXPECT_TRUE(c.ask(true));
  EXPECT_EQ(c.probe.state(), State::kAnswered);
}

TEST(PathProbe, WhatGoesToTheAskingAddressGoesNowhereElse) {
  Case c;
  const auto error = test::PacketBuilder::ipv6("64:ff9b::1", "2001:db8:1::ffff").icmp(1, 0, 0).bytes();
  EXPECT_TRUE(c.probe.takes(error, c.nat.now));
  EXPECT_EQ(c.probe.state(), State::kWaiting);
  const auto other = test::PacketBuilder::ipv6("64:ff9b::1", "2001:db8:1::5").icmp(1, 0, 0).bytes();
  EXPECT_FALSE(c.probe.takes(other, c.nat.now));
  EXPECT_FALSE(c.probe.takes(std::span{other}.first(39), c.nat.now));
}

TEST(PathProbe, OnlyWhoWasAskedCanAnswer) {
  Case c;
  const auto question = c.probe.ask(c.nat.now);
  ASSERT_TRUE(question);
  const auto forged =
      test::PacketBuilder::ipv6("64:ff9b::198.41.0.5", "2001:db8:1::ffff").echo(129, 0x6464, 1).bytes();
  EXPECT_TRUE(c.probe.takes(forged, c.nat.now));
  EXPECT_EQ(c.probe.state(), State::kWaiting);
  const auto real =
      test::PacketBuilder::ipv6("64:ff9b::198.41.0.4", "2001:db8:1::ffff").echo(129, 0x6464, 1).bytes();
  EXPECT_TRUE(c.probe.takes(real, c.nat.now));
  EXPECT_EQ(c.probe.state(), State::kAnswered);
}

TEST(PathProbe, ThePolicySaysWhetherAndASecondWorkerDoesNotAsk) {
  Case c;
  EXPECT_TRUE(c.ask(true));
  auto changed = policy_with_probe();
  changed.nat64.mss_clamp = true;
  c.configure(changed);
  EXPECT_EQ(c.probe.state(), State::kAnswered) << "the same probe goes on";
  c.configure(test::nat64_policy());
  EXPECT_EQ(c.probe.state(), State::kOff);
  EXPECT_FALSE(c.probe.on());
  int asking = 0;
  const auto blocks = std::make_shared<BlockShare>();
  for (const auto worker : {std::uint16_t{0}, std::uint16_t{1}}) {
    RuntimeOptions options;
    options.workers = 2;
    options.blocks = blocks;
    options.worker = worker;
    c.configure(policy_with_probe(), options);
    asking += c.probe.on() ? 1 : 0;
  }
  EXPECT_EQ(asking, 1);
}

}  // namespace
}  // namespace isthmus::nat64
