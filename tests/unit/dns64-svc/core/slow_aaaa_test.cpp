// SPDX-License-Identifier: Apache-2.0
// RFC 6147 §5.1.2, §5.1.3: an AAAA that is late or fails. A may stand in for it, for a short time; that there
// is no A says nothing of AAAA.
#include <gmock/gmock.h>

#include "tests/unit/dns64-svc/core/query_lab.hpp"

namespace isthmus::dns64::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class SlowAaaaTest : public QueryTest {
 protected:
  static FactPtr no_a() { return nodata("www.example.", rr::kA, 3600); }
  static FactPtr an_a() {
    return fact("www.example.", rr::kA,
                {cname("www.example.", "web.example.", 3600),
                 a("web.example.", "198.51.0.33", 3600),
                 {Section::kAdditional, "ns.example.", rr::kA, 3600, "198.51.0.53"}});
  }
  static FactPtr real_aaaa() {
    return fact("www.example.", rr::kAaaa, {aaaa("www.example.", "2001:db8::80", 3600)});
  }
  Step aaaa_comes(FactPtr fact) { return query.on_fact(0, std::move(fact), context(), room); }
  Step a_comes(FactPtr fact) { return query.on_fact(1, std::move(fact), context(), room); }
  Step aaaa_is_overdue() { return query.on_deadline(Deadline::kAaaa, context(), room); }
  Step client_is_gone() { return query.on_deadline(Deadline::kClient, context(), room); }
  void expect_waits(const Step& step) { EXPECT_EQ(step.kind, Step::Kind::kWait); }
  void expect_real(const Step& step) {
    EXPECT_THAT(reply(step).answer, ElementsAre("www.example. 3600 AAAA 2001:db8::80"));
  }
  void expect_servfail(const Step& step) {
    const auto r = reply(step);
    EXPECT_EQ(r.header.rcode(), rcode::kServFail);
    EXPECT_THAT(r.authority, IsEmpty()) << "no SOA by which it could be kept for long";
    EXPECT_EQ(step.outcome, Outcome::kAaaaFailed);
  }
};

TEST_F(SlowAaaaTest, AnAThatIsThereAtTheDeadlineStandsInForHalfAMinute) {
  (void)start({});
  expect_waits(a_comes(an_a()));
  const auto step = aaaa_is_overdue();
  const auto r = reply(step);
  EXPECT_EQ(step.outcome, Outcome::kSynthesizedAaaaFailed);
  EXPECT_THAT(r.answer,
              ElementsAre("www.example. 30 CNAME web.example.", "web.example. 30 AAAA 64:ff9b::c633:21"));
  EXPECT_THAT(r.additional, ElementsAre("ns.example. 30 A 198.51.0.53"));
}

TEST_F(SlowAaaaTest, AnAThatComesAfterTheDeadlineDoesSoAtOnce) {
  (void)start({});
  expect_waits(aaaa_is_overdue());
  EXPECT_EQ(a_comes(an_a()).outcome, Outcome::kSynthesizedAaaaFailed);
}

TEST_F(SlowAaaaTest, WithoutAnAAaaaIsAwaitedBeyondItsDeadline) {
  for (const bool a_is_first : {true, false}) {
    query = Query{};
    (void)start({});
    expect_waits(a_is_first ? a_comes(no_a()) : aaaa_is_overdue());
    expect_waits(a_is_first ? aaaa_is_overdue() : a_comes(no_a()));
    expect_real(aaaa_comes(real_aaaa()));
  }
}

TEST_F(SlowAaaaTest, AnAaaaThatComesLateIsTakenWhileAIsPending) {
  (void)start({});
  expect_waits(aaaa_is_overdue());
  expect_real(aaaa_comes(real_aaaa()));
}

TEST_F(SlowAaaaTest, ALateEmptyAaaaIsTheEmptyAnswerOfAaaa) {
  (void)start({});
  (void)a_comes(no_a());
  (void)aaaa_is_overdue();
  const auto step = aaaa_comes(nodata("www.example.", rr::kAaaa, 70));
  EXPECT_THAT(reply(step).authority, ElementsAre("example. 70 SOA ns.example."));
  EXPECT_EQ(step.outcome, Outcome::kNoA);
}

TEST_F(SlowAaaaTest, AnAThatNoPrefixMayCarryStandsInForNothing) {
  (void)start({});
  (void)aaaa_is_overdue();
  expect_waits(a_comes(fact("www.example.", rr::kA, {a("www.example.", "10.0.0.1")})));
  expect_real(aaaa_comes(real_aaaa()));
}

TEST_F(SlowAaaaTest, NeitherDoesABogusOne) {
  (void)start({});
  (void)aaaa_is_overdue();
  expect_waits(a_comes(fact("www.example.", rr::kA, {a("www.example.", "198.51.0.33")}, Security::kBogus)));
  expect_real(aaaa_comes(real_aaaa()));
}

TEST_F(SlowAaaaTest, WithoutAnAATimeoutOfAaaaIsAnErrorAndNoDenial) {
  (void)start({});
  (void)a_comes(no_a());
  expect_waits(aaaa_is_overdue());
  expect_servfail(client_is_gone());
}

TEST_F(SlowAaaaTest, WithoutAnAAFailureOfAaaaIsAnErrorAndNoDenial) {
  for (const bool a_is_first : {true, false}) {
    query = Query{};
    (void)start({});
    const auto fails = [&] { return query.on_failure(0, ResolveFailure::kServFail, context(), room); };
    expect_waits(a_is_first ? a_comes(no_a()) : fails());
    expect_servfail(a_is_first ? fails() : a_comes(no_a()));
  }
}

TEST_F(SlowAaaaTest, ANameErrorForAEndsItAndIsBelievedForHalfAMinute) {
  (void)start({});
  (void)a_comes(fact("www.example.", rr::kA, {soa(3600, 3600)}, Security::kInsecure, rcode::kNxDomain));
  const auto r = reply(aaaa_is_overdue());
  EXPECT_EQ(r.header.rcode(), rcode::kNxDomain);
  EXPECT_THAT(r.authority, ElementsAre("example. 30 SOA ns.example."));
}

TEST_F(SlowAaaaTest, SoDoesANameThatADnameMakesTooLong) {
  (void)start({});
  (void)a_comes(fact("www.example.", rr::kA, {{Section::kAnswer, "example.", rr::kDname, 3600, "other."}},
                     Security::kInsecure, rcode::kYxDomain));
  const auto r = reply(aaaa_is_overdue());
  EXPECT_EQ(r.header.rcode(), rcode::kYxDomain);
  EXPECT_THAT(r.answer, ElementsAre("example. 30 DNAME other."));
}

TEST_F(SlowAaaaTest, AViewThatPassesErrorsGivesNothingUpBeforeTheClientsDeadline) {
  policy.dns64.views[0].aaaa_failure = AaaaFailure::kPassError;
  (void)start({});
  expect_waits(a_comes(an_a()));
  expect_waits(aaaa_is_overdue());
  expect_servfail(client_is_gone());
}

// RFC 8767: what stands on a stale AAAA stands on a failed lookup.
TEST_F(SlowAaaaTest, AStaleAaaaServesWhenAIsThereAndTheAnswerLivesShortly) {
  know(nodata("www.example.", rr::kAaaa, 100));
  (void)start({}, after(200));
  (void)query.on_deadline(Deadline::kAaaa, context(after(200)), room);
  const auto late = fact("www.example.", rr::kA, {a("www.example.", "198.51.0.33", 3600)},
                         Security::kInsecure, rcode::kNoError, after(200));
  const auto step = query.on_fact(1, late, context(after(200)), room);
  EXPECT_THAT(reply(step).answer, ElementsAre("www.example. 30 AAAA 64:ff9b::c633:21"));
}

}  // namespace
}  // namespace isthmus::dns64::test
