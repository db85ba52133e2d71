// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/core/wire/presentation.hpp"

#include <gmock/gmock.h>

#include "tests/unit/dns64-svc/core/dns_lab.hpp"

namespace isthmus::dns64::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(Presentation, TypesHaveNamesAndNumbersBothWays) {
  EXPECT_EQ(type_name(rr::kAaaa), "AAAA");
  EXPECT_EQ(type_name(4711), "TYPE4711");
  EXPECT_EQ(type_of("aaaa"), rr::kAaaa);
  EXPECT_EQ(type_of("type65"), rr::kHttps);
  for (const auto* bad : {"", "TYPE", "TYPE65536", "TYPE1x", "AAAAA", "TYPE-1"})
    EXPECT_FALSE(type_of(bad)) << bad;
}

TEST(Presentation, RcodesHaveNames) {
  EXPECT_EQ(rcode_name(rcode::kNxDomain), "NXDOMAIN");
  EXPECT_EQ(rcode_name(rcode::kYxDomain), "YXDOMAIN");
  EXPECT_EQ(rcode_name(rcode::kBadVers), "BADVERS");
  EXPECT_EQ(rcode_name(11), "11");
}

TEST(Presentation, AnswersAreLinesAndOnlyAnswers) {
  const auto wire = response("www.example.", rr::kAaaa,
                             {{Section::kAnswer, "www.example.", rr::kCname, 60, "web.example."},
                              {Section::kAnswer, "web.example.", rr::kAaaa, 30, "64:ff9b::c000:201"},
                              {Section::kAnswer, "web.example.", 4711, 30, "ab"},
                              soa()});
  EXPECT_THAT(answer_lines(wire), ElementsAre("www.example. 60 IN CNAME web.example.",
                                              "web.example. 30 IN AAAA 64:ff9b::c000:201",
                                              "web.example. 30 IN TYPE4711 \\# 2 6162"));
}

TEST(Presentation, DataThatIsNotWhatItsTypePromisesIsShownAsBytes) {
  auto wire = response("www.example.", 4711, {{Section::kAnswer, "www.example.", 4711, 30, "abc"}});
  const auto type_at = wire.size() - 3 - 10;
  wire[type_at] = 0;
  wire[type_at + 1] = rr::kA;
  EXPECT_THAT(answer_lines(wire), ElementsAre("www.example. 30 IN A \\# 3 616263"));
}

TEST(Presentation, WhatCannotBeReadHasNoLines) {
  EXPECT_THAT(answer_lines({}), IsEmpty());
  auto wire = response("www.example.", rr::kA, {{Section::kAnswer, "www.example.", rr::kA, 30, "192.0.2.1"}});
  wire.pop_back();
  EXPECT_THAT(answer_lines(wire), IsEmpty());
}

}  // namespace
}  // namespace isthmus::dns64::test
