// SPDX-License-Identifier: Apache-2.0
#include "isthmusctl/dns64_view.hpp"

#include <gtest/gtest.h>

namespace isthmus {
namespace {

TEST(ShowExplainDns, StepsThenTheVerdictThenTheRecords) {
  v1::ExplainDnsResponse explained;
  auto* step = explained.add_steps();
  step->set_section("policy: view");
  step->set_text("default");
  step = explained.add_steps();
  step->set_section("RFC 6147 §5.1.7");
  step->set_text("AAAA synthesized from A");
  explained.set_outcome("synthesized");
  explained.set_rcode("NOERROR");
  explained.set_view("default");
  explained.set_prefix("well-known");
  explained.set_extended_error(29);
  explained.set_from_cache(true);
  explained.add_answer("www.example. 30 IN AAAA 64:ff9b::1");
  EXPECT_EQ(show(explained),
            "policy: view     default\n"
            "RFC 6147 §5.1.7  AAAA synthesized from A\n\n"
            "NOERROR, synthesized, view default, prefix well-known, EDE 29, from the cache\n"
            "www.example. 30 IN AAAA 64:ff9b::1\n");
}

TEST(ShowCacheEntry, LinesUpUnderTheHeading) {
  v1::CacheEntry entry;
  entry.set_name("www.example.");
  entry.set_type("AAAA");
  entry.set_kind("nodata");
  entry.set_security("secure");
  entry.set_ttl_left(-5);
  entry.set_age(65);
  entry.set_hits(3);
  entry.set_bytes(200);
  const auto heading = cache_heading();
  const auto line = show(entry);
  EXPECT_EQ(heading.find("NAME"), line.find("www.example."));
  EXPECT_EQ(heading.find("KIND"), line.find("nodata"));
  EXPECT_EQ(line.find("-5"), 0U);
}

}  // namespace
}  // namespace isthmus
