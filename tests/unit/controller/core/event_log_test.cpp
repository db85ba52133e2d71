// SPDX-License-Identifier: Apache-2.0
#include "controller/core/event_log.hpp"

#include <gtest/gtest.h>

namespace isthmus::controller {
namespace {

Event event(std::string text) {
  return {EventKind::kGranted, "gw1", std::move(text)};
}

TEST(EventLog, WhoAsksAgainGetsWhatCameSince) {
  EventLog log;
  EXPECT_EQ(0U, log.first_after(0));
  for (int i = 0; i < 3; ++i) log.add(event(std::to_string(i)), {});
  EXPECT_EQ(3U, log.last());
  EXPECT_EQ(0U, log.first_after(0));
  EXPECT_EQ(2U, log.first_after(2));
  EXPECT_EQ(3U, log.first_after(3));
  EXPECT_EQ(3U, log.first_after(99));
  EXPECT_FALSE(log.missed(0));
}

TEST(EventLog, OldOnesAreForgottenAndWhoMissedThemIsTold) {
  EventLog log;
  for (std::size_t i = 0; i < EventLog::kKept + 5; ++i) log.add(event("x"), {});
  EXPECT_EQ(EventLog::kKept, log.events().size());
  EXPECT_EQ(6U, log.events().front().number);
  EXPECT_TRUE(log.missed(4));
  EXPECT_FALSE(log.missed(5));
  EXPECT_EQ(0U, log.first_after(4));
  EXPECT_EQ(1U, log.first_after(6));
}

TEST(EventLog, ALongTextIsCutAtACharacter) {
  EventLog log;
  log.add(event(std::string(EventLog::kMaxText - 1, 'a') + "\u20ac"), {});
  EXPECT_EQ(EventLog::kMaxText - 1, log.events().front().event.text.size());
}

}  // namespace
}  // namespace isthmus::controller
