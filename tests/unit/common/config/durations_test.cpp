// SPDX-License-Identifier: Apache-2.0
#include "common/config/durations.hpp"

#include <gtest/gtest.h>

namespace isthmus {
namespace {

TEST(ParseDuration, UnitsAndDecimals) {
  using namespace std::chrono_literals;
  EXPECT_EQ(parse_duration("300s"), 300s);
  EXPECT_EQ(parse_duration("5m"), 5min);
  EXPECT_EQ(parse_duration("2h"), 2h);
  EXPECT_EQ(parse_duration("250ms"), 250ms);
  EXPECT_EQ(parse_duration("1.5s"), 1500ms);
  EXPECT_EQ(parse_duration("0s"), 0s);
}

TEST(ParseDuration, RefusesWhatIsNotOne) {
  for (const auto* text :
       {"", "5", "s", "-5s", "5 s", "5d", "5.s", "1.2345s", "99999999999999999999s", "400000000h", "0x5s"}) {
    EXPECT_FALSE(parse_duration(text)) << '"' << text << '"';
  }
}

TEST(FormatDuration, ReadsBackEqual) {
  for (const auto* text : {"300s", "250ms", "0s", "604800s"})
    EXPECT_EQ(format_duration(parse_duration(text).value()), text);
}

TEST(DurationFromProto, HostileValuesAreClamped) {
  google::protobuf::Duration hostile;
  hostile.set_seconds(std::numeric_limits<std::int64_t>::max());
  hostile.set_nanos(std::numeric_limits<std::int32_t>::max());
  EXPECT_GT(duration_from_proto(hostile), Duration{0});
  EXPECT_LT(duration_from_proto(hostile), std::chrono::hours{24 * 366 * 11});
}

}  // namespace
}  // namespace isthmus
