// SPDX-License-Identifier: Apache-2.0
// How long answers live when the policy's limits have changed since their facts came.
#include <gmock/gmock.h>

#include "dns64-svc/core/query.hpp"
#include "tests/unit/dns64-svc/core/query_lab.hpp"

namespace isthmus::dns64::test {
namespace {

using testing::ElementsAre;
using testing::StartsWith;

TEST_F(QueryTest, NoTtlIsLongerThanThePolicyThatRunsAllows) {
  know(nodata("www.example.", rr::kAaaa, 3600));
  know(fact("www.example.", rr::kA, {a("www.example.", "198.51.0.33", 7200)}));
  know(fact("alias.example.", rr::kA,
            {cname("alias.example.", "www.example.", 7200), a("www.example.", "198.51.0.33", 7200)}));
  EXPECT_THAT(ask({}).answer, ElementsAre("www.example. 3600 AAAA 64:ff9b::c633:21"));
  policy.dns64.limits.max_ttl_seconds = 60;
  run_policy();
  EXPECT_THAT(ask({}, after(59)).answer, ElementsAre("www.example. 60 AAAA 64:ff9b::c633:21"));
  EXPECT_THAT(ask({.name = "alias.example.", .type = rr::kA}, after(59)).answer,
              ElementsAre("alias.example. 60 CNAME www.example.", "www.example. 60 A 198.51.0.33"));
}

TEST_F(QueryTest, NoDenialIsBelievedLongerThanThePolicyThatRunsAllows) {
  know(nodata("www.example.", rr::kAaaa, 3600));
  know(nodata("www.example.", rr::kTxt, 3600));
  know(fact("www.example.", rr::kA, {a("www.example.", "198.51.0.33", 7200)}));
  policy.dns64.limits.max_negative_ttl_seconds = 60;
  run_policy();
  EXPECT_THAT(ask({}, after(10)).answer, ElementsAre("www.example. 60 AAAA 64:ff9b::c633:21"));
  EXPECT_THAT(ask({.type = rr::kTxt}, after(10)).authority, ElementsAre(StartsWith("example. 60 SOA")));
}

TEST_F(QueryTest, WhatIsOlderThanThePolicyThatRunsAllowsIsAskedAnew) {
  know(nodata("www.example.", rr::kAaaa, 3600));
  know(fact("www.example.", rr::kA, {a("www.example.", "198.51.0.33", 7200)}));
  policy.dns64.limits.max_negative_ttl_seconds = 30;
  run_policy();
  query = Query{};
  auto step = start({}, after(30));
  ASSERT_EQ(step.kind, Step::Kind::kAsk);
  ASSERT_EQ(step.to_resolve().size(), 1U) << "the A may be kept";
  EXPECT_EQ(step.to_resolve()[0].type, rr::kAaaa);
  policy.dns64.limits.max_ttl_seconds = 20;
  run_policy();
  query = Query{};
  step = start({.type = rr::kA}, after(20));
  ASSERT_EQ(step.kind, Step::Kind::kAsk);
  // RFC 8767: when nothing better comes.
  const auto stale = query.on_failure(0, ResolveFailure::kServFail, context(after(20)), room);
  EXPECT_THAT(reply(stale).answer, ElementsAre("www.example. 20 A 198.51.0.33"));
}

}  // namespace
}  // namespace isthmus::dns64::test
