// SPDX-License-Identifier: Apache-2.0
#include "isthmusctl/nat64_view.hpp"

#include <gtest/gtest.h>

namespace isthmus {
namespace {

v1::Mapping mapping() {
  v1::Mapping m;
  m.set_protocol(v1::UDP_FLOW);
  m.set_client6("2001:db8::5");
  m.set_port6(4000);
  m.set_public4("203.0.113.1");
  m.set_port4(40001);
  m.set_sessions(2);
  return m;
}

TEST(Nat64View, MappingsAreATableOfEndpoints) {
  v1::MappingChunk all;
  *all.add_mappings() = mapping();
  EXPECT_EQ(show(all, Format::kTable),
            "PROTOCOL  CLIENT              PUBLIC             KIND     SESSIONS  WORKER\n"
            "udp       [2001:db8::5]:4000  203.0.113.1:40001  dynamic  2         0\n");
}

TEST(Nat64View, ARunningPolicyIsYamlUnderItsVersion) {
  v1::RunningPolicy answer;
  answer.mutable_version()->set_epoch(3);
  answer.mutable_version()->set_counter(14);
  answer.mutable_policy()->mutable_nat64()->set_hairpinning(true);
  EXPECT_EQ(show(answer, Format::kTable),
            "# version 3.14, as it runs: every default written out\nnat64:\n  hairpinning: true\n");
  EXPECT_NE(show(answer, Format::kJson).find("\"counter\": \"14\""), std::string::npos);
}

TEST(Nat64View, FindSaysWhoHoldsTheBlockAndWhetherThePortIsMapped) {
  v1::FindResponse answer;
  answer.set_block_subscriber("2001:db8::/64");
  answer.set_block_address("203.0.113.1");
  answer.set_block_first_port(39936);
  answer.set_block_last_port(40191);
  const auto text = show(answer, "203.0.113.1:40001", Format::kTable);
  EXPECT_NE(text.find("ports 39936-40191 of 203.0.113.1 belong to subscriber 2001:db8::/64"),
            std::string::npos);
  EXPECT_NE(text.find("203.0.113.1:40001: no mapping now"), std::string::npos);
}

TEST(Nat64View, AnExplanationEndsWithTheVerdict) {
  v1::ExplainPacketResponse answer;
  auto& step = *answer.add_steps();
  step.set_section("RFC 6146 §3.5");
  step.set_name("may this client reach this server");
  step.set_outcome("excluded");
  answer.set_verdict("reply");
  answer.set_reason("excluded");
  answer.set_icmp_type(1);
  answer.set_icmp_code(1);
  const auto text = show(answer, Format::kTable);
  EXPECT_NE(text.find("NO  RFC 6146 §3.5"), std::string::npos);
  EXPECT_NE(text.find("verdict: reply, excluded, answered with ICMP type 1 code 1\n"), std::string::npos);
}

TEST(Nat64View, JsonHasAllFieldsByTheirNames) {
  v1::MappingChunk all;
  *all.add_mappings() = mapping();
  const auto text = show(all, Format::kJson);
  EXPECT_NE(text.find("\"client6\": \"2001:db8::5\""), std::string::npos);
  EXPECT_NE(text.find("\"is_static\": false"), std::string::npos);
}

}  // namespace
}  // namespace isthmus
