// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/core/query_limits.hpp"

#include <gtest/gtest.h>

#include "tests/unit/dns64-svc/core/dns_lab.hpp"

namespace isthmus::dns64::test {
namespace {

constexpr HashKey kKey{1, 2};

Step reply_of(Outcome outcome, std::uint16_t code) {
  Step step;
  step.kind = Step::Kind::kReply;
  step.outcome = outcome;
  step.rcode = code;
  return step;
}

// How many of 100 equal replies at one moment are sent.
int sent(QueryLimits& limits, const Query& query, const Step& step, TimePoint now = kNow) {
  int count = 0;
  for (int i = 0; i < 100; ++i)
    if (limits.judge(query, step, now) == ResponseVerdict::kSend) ++count;
  return count;
}

const std::pair<Outcome, std::uint16_t> kRefusals[] = {{Outcome::kNoView, rcode::kRefused},
                                                       {Outcome::kFormErr, rcode::kFormErr},
                                                       {Outcome::kNotImp, rcode::kNotImp},
                                                       {Outcome::kOtherClass, rcode::kNotImp},
                                                       {Outcome::kBadVers, rcode::kBadVers}};

TEST(QueryLimits, EveryKindOfRefusalIsLimitedAlsoWhereResponsesAreNot) {
  for (const auto& [outcome, code] : kRefusals) {
    QueryLimits limits{1, 0, kKey};
    EXPECT_EQ(sent(limits, Query{}, reply_of(outcome, code)), 20) << kOutcomeNames[outcome];
  }
  QueryLimits limits{1, 0, kKey};
  EXPECT_EQ(sent(limits, Query{}, reply_of(Outcome::kPassed, rcode::kNoError)), 100);
  EXPECT_EQ(sent(limits, Query{}, reply_of(Outcome::kFailed, rcode::kServFail)), 100);
}

TEST(QueryLimits, RefusalsOfAllKindsShareOneLimitAndAreNeverSentInPart) {
  QueryLimits limits{1, 0, kKey};
  EXPECT_EQ(sent(limits, Query{}, reply_of(Outcome::kNoView, rcode::kRefused)), 20);
  for (const auto& [outcome, code] : kRefusals)
    for (int i = 0; i < 4; ++i)
      EXPECT_EQ(limits.judge(Query{}, reply_of(outcome, code), kNow), ResponseVerdict::kDrop);
  EXPECT_EQ(sent(limits, Query{}, reply_of(Outcome::kNoView, rcode::kRefused), after(1)), 20);
}

TEST(QueryLimits, AWorkerHasItsShareOfEachLimit) {
  QueryLimits limits{8, 80, kKey};
  EXPECT_EQ(sent(limits, Query{}, reply_of(Outcome::kNoView, rcode::kRefused)), 3) << "20 / 8, rounded up";
  EXPECT_EQ(sent(limits, Query{}, reply_of(Outcome::kPassed, rcode::kNoError)), 10);
  limits.limit_clients(40);
  int allowed = 0;
  for (int i = 0; i < 100; ++i)
    if (limits.allows(v6("2001:db8::1"), kNow)) ++allowed;
  EXPECT_EQ(allowed, 10) << "two seconds' worth of 40 / 8";
  limits.limit_clients(40);
  EXPECT_FALSE(limits.allows(v6("2001:db8::1"), kNow)) << "the same limit again gives nothing back";
}

}  // namespace
}  // namespace isthmus::dns64::test
