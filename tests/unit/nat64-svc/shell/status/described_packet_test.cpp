// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/status/described_packet.hpp"

#include <gtest/gtest.h>

#include "nat64-svc/core/packet/parse.hpp"
#include "nat64-svc/shell/status/read_request.hpp"
#include "tests/support/packet_builder.hpp"

namespace isthmus::nat64 {
namespace {

v1::PacketDescription words(v1::TransportProtocol protocol, const char* from, const char* to) {
  v1::PacketDescription out;
  out.set_protocol(protocol);
  out.set_source(from);
  out.set_destination(to);
  return out;
}

TEST(DescribedPacket, HasRightLengthsAndChecksums) {
  for (const auto protocol : {v1::TCP_FLOW, v1::UDP_FLOW, v1::ICMP_FLOW}) {
    auto six = words(protocol, "[2001:db8::5]:4000", "[64:ff9b::198.41.0.4]:80");
    six.set_length(33);
    const auto packet6 = described_packet(six);
    ASSERT_TRUE(packet6) << packet6.error();
    EXPECT_EQ(test::checksum_fault(*packet6), "");
    const auto parsed6 = parse_ipv6(*packet6);
    ASSERT_TRUE(parsed6);
    EXPECT_EQ(parsed6->source_port, 4000);
    const auto packet4 = described_packet(words(protocol, "198.41.0.4:80", "203.0.113.1:4000"));
    ASSERT_TRUE(packet4) << packet4.error();
    EXPECT_EQ(test::checksum_fault(*packet4), "");
    const auto parsed4 = parse_ipv4(*packet4);
    ASSERT_TRUE(parsed4);
    EXPECT_EQ(parsed4->destination_port, 4000);
  }
}

TEST(DescribedPacket, FlagsAreNamed) {
  auto syn_ack = words(v1::TCP_FLOW, "198.41.0.4:80", "203.0.113.1:4000");
  syn_ack.set_tcp_flags("syn,ack");
  EXPECT_EQ(parse_ipv4(*described_packet(syn_ack))->tcp_flags, tcp_flag::kSyn | tcp_flag::kAck);
  syn_ack.set_tcp_flags("sin");
  EXPECT_NE(described_packet(syn_ack).error().find("\"sin\""), std::string::npos);
}

TEST(DescribedPacket, AWrongFieldIsNamed) {
  EXPECT_NE(described_packet(words(v1::TCP_FLOW, "x", "203.0.113.1:1")).error().find("source"),
            std::string::npos);
  EXPECT_NE(described_packet(words(v1::TCP_FLOW, "203.0.113.1:1", "y")).error().find("destination"),
            std::string::npos);
  EXPECT_NE(
      described_packet(words(v1::TCP_FLOW, "203.0.113.1:1", "[2001:db8::1]:1")).error().find("one family"),
      std::string::npos);
}

TEST(ReadFilter, PrefixesAndPortsAreCheckedByField) {
  v1::ListTablesRequest request;
  EXPECT_TRUE(read_filter(request));
  request.set_client6("2001:db8::5");
  EXPECT_EQ(read_filter(request)->client6->length(), 128U);
  request.set_server4("198.51.100.1/24");
  EXPECT_NE(read_filter(request).error().find("server4"), std::string::npos);
  request.clear_server4();
  request.set_server_port(65536);
  EXPECT_NE(read_filter(request).error().find("server_port"), std::string::npos);
}

}  // namespace
}  // namespace isthmus::nat64
