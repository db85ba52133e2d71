// SPDX-License-Identifier: Apache-2.0
// What a query gets that this server has no room for: its own refusal, which says nothing of the name.
#include <gmock/gmock.h>

#include "tests/unit/dns64-svc/core/query_lab.hpp"

namespace isthmus::dns64::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class OverloadTest : public QueryTest {
 protected:
  void expect_overloaded(const Step& step) {
    const auto r = reply(step);
    EXPECT_EQ(r.header.rcode(), rcode::kServFail);
    EXPECT_THAT(r.answer, testing::IsEmpty());
    EXPECT_EQ(step.outcome, Outcome::kOverloaded);
    // RFC 8914 §4.1: "other" comes with a text.
    EXPECT_EQ(step.ede, ede::kOther);
    const std::string options(r.opt_data.begin(), r.opt_data.end());
    EXPECT_THAT(options, HasSubstr("limit of lookups"));
    ASSERT_GE(r.opt_data.size(), 6U);
    EXPECT_EQ(load_be16(&r.opt_data[0]), option::kEde);
    EXPECT_EQ(load_be16(&r.opt_data[2]), r.opt_data.size() - 4);
    EXPECT_EQ(load_be16(&r.opt_data[4]), ede::kOther);
  }
};

TEST_F(OverloadTest, AnAaaaThatWasNotLookedUpIsNoReasonToSynthesize) {
  know(fact("www.example.", rr::kA, {a("www.example.", "198.51.0.33")}));
  (void)start({.edns = true});
  expect_overloaded(query.on_failure(0, ResolveFailure::kBusy, context(), room));
}

TEST_F(OverloadTest, AnAThatWasNotLookedUpIsTheSame) {
  know(nodata("www.example.", rr::kAaaa));
  (void)start({.edns = true});
  expect_overloaded(query.on_failure(1, ResolveFailure::kBusy, context(), room));
}

TEST_F(OverloadTest, AQueryThatMayNotWaitIsAnsweredAtOnce) {
  (void)start({.edns = true});
  expect_overloaded(query.on_refusal(context(), room));
  query = Query{};
  (void)start({.type = rr::kTxt, .edns = true});
  expect_overloaded(query.on_refusal(context(), room));
  const auto name = "33.0.51.198.in-addr.arpa.";
  query = Query{};
  (void)start({.name = name, .type = rr::kPtr, .edns = true});
  expect_overloaded(query.on_refusal(context(), room));
}

TEST_F(OverloadTest, NothingMoreIsAskedForAQueryThatMayNotWait) {
  know(nodata("www.example.", rr::kAaaa, 100));  // stale by then; the A behind it is unknown
  (void)start({.edns = true}, after(200));
  const auto step = query.on_refusal(context(after(200)), room);
  EXPECT_EQ(step.kind, Step::Kind::kReply);
  EXPECT_TRUE(step.to_resolve().empty());
  expect_overloaded(step);
}

TEST_F(OverloadTest, WithoutEdnsThereIsTheErrorAlone) {
  (void)start({});
  const auto step = query.on_refusal(context(), room);
  EXPECT_EQ(reply(step).header.rcode(), rcode::kServFail);
  EXPECT_EQ(step.ede, ede::kNone);
}

// RFC 8767 §5: the half minute in which nobody asks again is for failures of the upstream.
TEST_F(OverloadTest, StaleDataServesAndTheNextQueryAsksAgain) {
  know(fact("www.example.", rr::kA, {a("www.example.", "198.51.0.33", 100)}));
  ASSERT_EQ(start({.type = rr::kA}, after(200)).kind, Step::Kind::kAsk);
  const auto step = query.on_failure(0, ResolveFailure::kBusy, context(after(200)), room);
  EXPECT_THAT(reply(step).answer, ElementsAre("www.example. 30 A 198.51.0.33"));
  EXPECT_EQ(step.outcome, Outcome::kStale);
  query = Query{};
  ASSERT_EQ(start({.type = rr::kA}, after(200)).kind, Step::Kind::kAsk);
  EXPECT_EQ(query.on_refusal(context(after(200)), room).outcome, Outcome::kStale);
  query = Query{};
  EXPECT_EQ(start({.type = rr::kA}, after(200)).kind, Step::Kind::kAsk);
}

}  // namespace
}  // namespace isthmus::dns64::test
