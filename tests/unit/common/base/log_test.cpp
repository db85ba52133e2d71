// SPDX-License-Identifier: Apache-2.0
#include "common/base/log.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

namespace isthmus {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;
using testing::internal::CaptureStderr;
using testing::internal::GetCapturedStderr;

TEST(Log, WritesTextWithUtcTimes) {
  ASSERT_TRUE(set_up_log("nat64-svc", {}));
  CaptureStderr();
  spdlog::warn("pool {} is empty", "public");
  spdlog::debug("unseen");
  EXPECT_THAT(GetCapturedStderr(),
              MatchesRegex("....-..-..T..:..:..[.]...Z warning nat64-svc: pool public is empty\n"));
}

TEST(Log, WritesOneJsonObjectPerLineWithEscapes) {
  ASSERT_TRUE(set_up_log("dns64-svc", {.level = "debug", .format = "json"}));
  CaptureStderr();
  spdlog::debug("name \"a\\b\"\nnext\x01");
  const auto line = GetCapturedStderr();
  EXPECT_THAT(line, MatchesRegex("\\{\"time\":\"....-..-..T..:..:..[.]...Z\",\"level\":\"debug\","
                                 "\"program\":\"dns64-svc\",\"thread\":.*\n"));
  EXPECT_THAT(line, HasSubstr(R"("message":"name \"a\\b\"\nnext\u0001"})"));
}

TEST(Log, RefusesUnknownLevelsAndFormats) {
  const auto level = set_up_log("x", {.level = "loud", .format = "text"});
  ASSERT_FALSE(level);
  EXPECT_THAT(level.error(), HasSubstr("choose trace, debug"));
  const auto format = set_up_log("x", {.level = "info", .format = "xml"});
  ASSERT_FALSE(format);
  EXPECT_THAT(format.error(), HasSubstr("choose text or json"));
}

TEST(LogLimit, PassesOnePerIntervalAndCountsTheRest) {
  LogLimit limit{std::chrono::seconds{10}};
  const TimePoint start{std::chrono::seconds{100}};
  EXPECT_EQ(limit.pass(start), 0U);
  EXPECT_EQ(limit.pass(start + std::chrono::seconds{1}), std::nullopt);
  EXPECT_EQ(limit.pass(start + std::chrono::seconds{9}), std::nullopt);
  EXPECT_EQ(limit.pass(start + std::chrono::seconds{10}), 2U);
  EXPECT_EQ(limit.pass(start + std::chrono::seconds{20}), 0U);
}

}  // namespace
}  // namespace isthmus
