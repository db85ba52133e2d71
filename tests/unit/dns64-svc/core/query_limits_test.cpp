// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/core/query_limits.hpp"

#include <gtest/gtest.h>

#include "tests/unit/dns64-svc/core/query_lab.hpp"

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

Query query_for(const std::string& name, const ClientAddress& address = kClient) {
  const auto compiled = Dns64Runtime::compile(lab_policy(), {}, *std::make_unique<ResolverGroups>()).value();
  const FactCache cache{{.max_bytes = 1 << 16, .stale_seconds = 0}, HashKey{}, 0};
  Query query;
  std::vector<std::uint8_t> room(1232);
  (void)query.start(request({.name = name}), {.address = address},
                    {.runtime = *compiled, .cache = cache, .now = kNow}, room);
  return query;
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

TEST(QueryLimits, EmptyAnswersOfAZoneShareALimitAndOthersHaveOneForEachName) {
  for (const bool is_empty : {true, false}) {
    QueryLimits limits{1, 10, kKey};
    auto step = reply_of(Outcome::kPassed, rcode::kNoError);
    step.is_nodata = is_empty;
    int count = 0;
    for (int i = 0; i < 100; ++i)
      if (limits.judge(query_for("n" + std::to_string(i) + ".www.example."), step, kNow) ==
          ResponseVerdict::kSend)
        ++count;
    EXPECT_EQ(count, is_empty ? 10 : 100);
    EXPECT_EQ(limits.judge(query_for("n1.other.test."), step, kNow), ResponseVerdict::kSend)
        << "of another zone";
  }
}

// How many answers with data for names under example. are sent at one moment, of `count` different ones.
int sent_of_random_names(QueryLimits& limits, int count, TimePoint now = kNow) {
  int sent = 0;
  for (int i = 0; i < count; ++i)
    if (limits.judge(query_for("n" + std::to_string(i) + ".www.example."),
                     reply_of(Outcome::kSynthesized, rcode::kNoError), now) == ResponseVerdict::kSend)
      ++sent;
  return sent;
}

TEST(QueryLimits, RandomNamesUnderAWildcardHaveAnEnd) {
  QueryLimits limits{1, 2, kKey};
  EXPECT_EQ(sent_of_random_names(limits, 200), 20) << "ten times the limit of a name";
  const auto answer = reply_of(Outcome::kPassed, rcode::kNoError);
  EXPECT_EQ(sent(limits, query_for("www.other.test."), answer), 2) << "another zone";
  Query elsewhere = query_for("n1.www.example.", v6("2001:db8:2::7"));
  EXPECT_EQ(sent(limits, elsewhere, answer), 2) << "another network";
  EXPECT_EQ(sent_of_random_names(limits, 200, after(1)), 20);
  QueryLimits off{1, 0, kKey};
  EXPECT_EQ(sent_of_random_names(off, 200), 200);
}

TEST(QueryLimits, AFloodForOneNameLeavesRoomForTheOthersOfItsZone) {
  QueryLimits limits{1, 2, kKey};
  EXPECT_EQ(sent(limits, query_for("www.example."), reply_of(Outcome::kPassed, rcode::kNoError)), 2);
  EXPECT_EQ(sent_of_random_names(limits, 200), 18);
}

TEST(QueryLimits, AWorkerHasItsShareOfEachLimit) {
  QueryLimits limits{8, 80, kKey};
  EXPECT_EQ(sent(limits, Query{}, reply_of(Outcome::kNoView, rcode::kRefused)), 3) << "20 / 8, rounded up";
  EXPECT_EQ(sent(limits, Query{}, reply_of(Outcome::kPassed, rcode::kNoError)), 10);
  limits.limit_clients(40);
  ClientInfo client{.address = v6("2001:db8::1")};
  int allowed = 0;
  for (int i = 0; i < 100; ++i)
    if (limits.allows(client, kNow)) ++allowed;
  EXPECT_EQ(allowed, 10) << "two seconds' worth of 40 / 8";
  limits.limit_clients(40);
  EXPECT_FALSE(limits.allows(client, kNow)) << "the same limit again gives nothing back";
  client.transport = Transport::kTcp;
  EXPECT_TRUE(limits.allows(client, kNow)) << "whoever sends in its name over UDP takes nothing of this";
}

}  // namespace
}  // namespace isthmus::dns64::test
