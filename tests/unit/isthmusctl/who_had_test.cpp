// SPDX-License-Identifier: Apache-2.0
#include "isthmusctl/who_had.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace isthmus {
namespace {

const TransportAddress4 kPort{Ipv4Address{203, 0, 113, 7}, 1100};

std::string record(const char* time, const char* event, const char* subscriber, const char* first = "1024",
                   const char* address = "203.0.113.7", const char* node = "gw1") {
  return std::string(R"({"time":"2026-01-31T)") + time + R"(Z","node":")" + node + R"(","event":")" + event +
         R"(","subscriber":")" + subscriber + R"(","public4":")" + address + R"(","first_port":)" + first +
         R"(,"last_port":)" + std::to_string(std::stoi(first) + 255) + "}";
}
std::string started(const char* time, const char* node = "gw1") {
  return std::string(R"({"time":"2026-01-31T)") + time + R"(Z","node":")" + node +
         R"(","event":"service_started"})";
}

std::string stopped(const char* time, const char* node = "gw1") {
  return std::string(R"({"time":"2026-01-31T)") + time + R"(Z","node":")" + node +
         R"(","event":"service_stopped"})";
}
std::string mapping(const char* time, const char* event, const char* client, const char* protocol) {
  return std::string(R"({"time":"2026-01-31T)") + time + R"(Z","node":"gw1","event":")" + event +
         R"(","subscriber":")" + client + R"(","public4":"203.0.113.7","first_port":1100,"last_port":1100,)" +
         R"("protocol":")" + protocol + R"("})";
}

std::vector<Holding> at(const char* time, const std::vector<std::string>& lines) {
  WhoHad who(kPort, record_time(std::string("2026-01-31T") + time + "Z").value());
  for (const auto& line : lines) who.add(line);
  EXPECT_EQ(who.unreadable(), 0U);
  return who.answer();
}

const std::vector<std::string> kTrail{
    started("00:00:00.000"),
    record("01:00:00.000", "block_taken", "2001:db8:1::/64"),
    record("01:30:00.000", "block_taken", "2001:db8:9::/64", "2048"),
    record("02:00:00.000", "block_freed", "2001:db8:1::/64"),
    record("03:00:00.000", "block_taken", "2001:db8:2::/64"),
    record("03:30:00.000", "block_taken", "2001:db8:8::/64", "1024", "203.0.113.8"),
    started("04:00:00.000", "gw2"),
    started("05:00:00.000"),
    record("06:00:00.000", "block_taken", "2001:db8:3::/64"),
};

TEST(WhoHad, FindsTheHolderOfTheTimeWithBeginAndEnd) {
  const auto one = at("01:45:00", kTrail);
  ASSERT_EQ(one.size(), 1U);
  EXPECT_EQ(one[0].subscriber, "2001:db8:1::/64");
  EXPECT_EQ(one[0].from, "2026-01-31T01:00:00.000Z");
  EXPECT_EQ(one[0].until, "2026-01-31T02:00:00.000Z");
  EXPECT_TRUE(one[0].certain);
}

TEST(WhoHad, NobodyHadItBetweenTwoHolders) {
  EXPECT_TRUE(at("00:30:00", kTrail).empty());
  EXPECT_TRUE(at("02:00:00", kTrail).empty());
  EXPECT_TRUE(at("05:30:00", kTrail).empty());
}

TEST(WhoHad, ARestartOfTheNodeEndsWhatItLeftOpenAndSaysSo) {
  const auto two = at("04:30:00", kTrail);
  ASSERT_EQ(two.size(), 1U);
  EXPECT_EQ(two[0].subscriber, "2001:db8:2::/64");
  EXPECT_EQ(two[0].until, "2026-01-31T05:00:00.000Z");
  EXPECT_FALSE(two[0].certain);
}

TEST(WhoHad, ACleanStopEndsAllThatTheNodeHadAndTheNextHolderIsTheOnlyOne) {
  const std::vector<std::string> lines{
      started("00:00:00.000"),
      record("01:00:00.000", "block_taken", "2001:db8:1::/64"),
      mapping("01:00:00.000", "static_used", "2001:db8:5::1/128", "tcp"),
      stopped("02:00:00.000", "gw3"),  // somebody else
      stopped("03:00:00.000"),
      record("04:00:00.000", "block_taken", "2001:db8:2::/64", "1024", "203.0.113.7", "gw2"),
  };
  const auto before = at("02:30:00", lines);
  ASSERT_EQ(before.size(), 2U);
  EXPECT_EQ(before[0].until, "2026-01-31T03:00:00.000Z");
  EXPECT_TRUE(before[0].certain);
  EXPECT_EQ(before[1].until, "2026-01-31T03:00:00.000Z");
  EXPECT_TRUE(at("03:30:00", lines).empty());
  const auto after = at("05:00:00", lines);
  ASSERT_EQ(after.size(), 1U);
  EXPECT_EQ(after[0].node, "gw2");
}

TEST(WhoHad, AStaticMappingThatIsFreedEndsForItsClientAndProtocolOnly) {
  const std::vector<std::string> lines{
      record("01:00:00.000", "block_taken", "2001:db8:5::1/128"),
      mapping("01:00:00.000", "static_used", "2001:db8:5::1/128", "tcp"),
      mapping("01:00:00.000", "static_used", "2001:db8:5::1/128", "udp"),
      mapping("02:00:00.000", "static_freed", "2001:db8:5::1/128", "tcp"),
      mapping("03:00:00.000", "static_used", "2001:db8:6::1/128", "tcp"),  // the policy gave it away
  };
  EXPECT_EQ(at("01:30:00", lines).size(), 3U);
  const auto later = at("02:30:00", lines);
  ASSERT_EQ(later.size(), 2U);
  EXPECT_EQ(later[0].protocol, "");
  EXPECT_EQ(later[1].protocol, "udp");
  const auto last = at("03:30:00", lines);
  ASSERT_EQ(last.size(), 3U);
  EXPECT_EQ(last[2].subscriber, "2001:db8:6::1/128");
}

TEST(WhoHad, ABlockThatIsTakenEndsTheHoldingBeforeThoughNoRecordSaysSo) {
  const std::vector<std::string> lines{
      record("01:00:00.000", "block_taken", "2001:db8:1::/64"),
      mapping("01:00:00.000", "static_used", "2001:db8:5::1/128", "tcp"),
      record("02:00:00.000", "block_taken", "2001:db8:2::/64"),  // block_freed was lost
      record("03:00:00.000", "block_taken", "2001:db8:3::/64", "1024", "203.0.113.7", "gw2"),  // gw1 died
      record("04:00:00.000", "block_freed", "2001:db8:3::/64", "1024", "203.0.113.7", "gw2"),
  };
  const auto blocks = [&](const char* time) {
    auto all = at(time, lines);
    std::erase_if(all, [](const Holding& h) { return !h.protocol.empty(); });
    return all;
  };
  const auto first = blocks("01:30:00");
  ASSERT_EQ(first.size(), 1U);
  EXPECT_EQ(first[0].until, "2026-01-31T02:00:00.000Z");
  EXPECT_FALSE(first[0].certain);
  const auto second = blocks("02:30:00");
  ASSERT_EQ(second.size(), 1U);
  EXPECT_EQ(second[0].subscriber, "2001:db8:2::/64");
  const auto third = blocks("03:30:00");
  ASSERT_EQ(third.size(), 1U);
  EXPECT_EQ(third[0].node, "gw2");
  EXPECT_TRUE(third[0].certain);
  EXPECT_TRUE(blocks("05:00:00").empty());
  EXPECT_EQ(at("05:00:00", lines).size(), 1U) << "a static mapping is beside them";
}

TEST(WhoHad, AHolderWithoutEndHasItStill) {
  const auto last = at("23:00:00", kTrail);
  ASSERT_EQ(last.size(), 1U);
  EXPECT_EQ(last[0].subscriber, "2001:db8:3::/64");
  EXPECT_TRUE(last[0].until.empty());
}

TEST(WhoHad, FilesMayComeInAnyOrder) {
  auto lines = kTrail;
  std::reverse(lines.begin(), lines.end());
  EXPECT_EQ(at("01:45:00", lines).size(), 1U);
  EXPECT_TRUE(at("02:30:00", lines).empty());
}

TEST(WhoHad, LinesThatAreNoRecordsAreCounted) {
  WhoHad who(kPort, "2026-01-31T00:00:00.000Z");
  who.add("half a li");
  who.add("[1]");
  who.add("{}");
  who.add("");
  EXPECT_EQ(who.unreadable(), 3U);
  EXPECT_TRUE(who.answer().empty());
}

TEST(RecordTime, TakesSecondsAndFractions) {
  EXPECT_EQ(record_time("2026-01-31T12:00:00Z"), "2026-01-31T12:00:00.000Z");
  EXPECT_EQ(record_time("2026-01-31T12:00:00.5Z"), "2026-01-31T12:00:00.500Z");
  for (const char* wrong : {"", "2026-01-31", "2026-01-31T12:00:00", "2026-01-31 12:00:00Z",
                            "2026-01-31T12:00:00.1234Z", "2026-01-31T12:00:00.Z"}) {
    EXPECT_FALSE(record_time(wrong).has_value()) << wrong;
  }
}

}  // namespace
}  // namespace isthmus
