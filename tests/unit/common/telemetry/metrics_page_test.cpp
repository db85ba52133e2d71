// SPDX-License-Identifier: Apache-2.0
#include "common/telemetry/metrics_page.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace isthmus {
namespace {

using testing::HasSubstr;

TEST(MetricsPage, GroupsSamplesOfOneNameUnderOneHelp) {
  MetricsPage page;
  page.counter("isthmus_drops_total", "Packets dropped.", {{"reason", "truncated"}}, 3);
  page.gauge("isthmus_sessions", "Sessions now.", {}, 7);
  page.counter("isthmus_drops_total", "Packets dropped.", {{"reason", "hop_limit"}}, 5);
  EXPECT_EQ(page.text(),
            "# HELP isthmus_drops_total Packets dropped.\n"
            "# TYPE isthmus_drops_total counter\n"
            "isthmus_drops_total{reason=\"truncated\"} 3\n"
            "isthmus_drops_total{reason=\"hop_limit\"} 5\n"
            "# HELP isthmus_sessions Sessions now.\n"
            "# TYPE isthmus_sessions gauge\n"
            "isthmus_sessions 7\n");
}

TEST(MetricsPage, EscapesLabelValues) {
  MetricsPage page;
  page.gauge("g", "h", {{"path", "a\"b\\c\n"}}, 1);
  EXPECT_THAT(page.text(), HasSubstr(R"(g{path="a\"b\\c\n"} 1)"));
}

TEST(MetricsPage, CumulatesHistogramBuckets) {
  MetricsPage page;
  page.histogram("t_seconds", "Times.", {}, {{0.1, 2}, {1.0, 3}}, 4, 12.5);
  const auto text = page.text();
  EXPECT_THAT(text, HasSubstr("t_seconds_bucket{le=\"0.1\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("t_seconds_bucket{le=\"1\"} 5\n"));
  EXPECT_THAT(text, HasSubstr("t_seconds_bucket{le=\"+Inf\"} 9\n"));
  EXPECT_THAT(text, HasSubstr("t_seconds_count 9\n"));
  EXPECT_THAT(text, HasSubstr("t_seconds_sum 12.5\n"));
}

TEST(MetricsPage, RepliesWithTheExpositionType) {
  EXPECT_EQ(MetricsPage{}.reply().content_type, "text/plain; version=0.0.4; charset=utf-8");
}

}  // namespace
}  // namespace isthmus
