// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/shell/listen_socket.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

namespace isthmus::dns64 {
namespace {

using ::testing::HasSubstr;

SocketAddress bound_address(int fd) {
  SocketAddress address;
  address.size = sizeof address.storage;
  EXPECT_EQ(getsockname(fd, reinterpret_cast<sockaddr*>(&address.storage), &address.size), 0);
  return address;
}

TEST(SocketAddress, ReadsAndWritesBothFamilies) {
  for (const std::string text : {"[2001:db8::1]:53", "192.0.2.1:5353", "[::]:53", "0.0.0.0:53"})
    EXPECT_EQ(SocketAddress::parse(text).value().to_string(), text);
  EXPECT_TRUE(SocketAddress::parse("[::]:53").value().is_wildcard());
  EXPECT_TRUE(SocketAddress::parse("0.0.0.0:53").value().is_wildcard());
  EXPECT_FALSE(SocketAddress::parse("[::1]:53").value().is_wildcard());
}

TEST(SocketAddress, WhatIsNoAddressIsRefusedWithAnExample) {
  for (const std::string text : {"", "::1:53", "localhost:53", "127.0.0.1", "127.0.0.1:99999", "[::1]"})
    EXPECT_THAT(SocketAddress::parse(text).error(), HasSubstr("[::1]:53")) << text;
}

TEST(ClientAddress, AMappedAddressIsTheIpv4Client) {
  EXPECT_EQ(client_address(SocketAddress::parse("[::ffff:192.0.2.7]:1").value().storage),
            ClientAddress{Ipv4Address(192, 0, 2, 7)});
  EXPECT_EQ(client_address(SocketAddress::parse("192.0.2.7:1").value().storage),
            ClientAddress{Ipv4Address(192, 0, 2, 7)});
  EXPECT_EQ(client_address(SocketAddress::parse("[2001:db8::7]:1").value().storage),
            ClientAddress{*Ipv6Address::parse("2001:db8::7")});
}

TEST(Claim, AnAddressThatAnotherSocketHasIsRefusedEvenThoughItShares) {
  const auto taken = open_udp(SocketAddress::parse("127.0.0.1:0").value()).value();
  const auto address = bound_address(taken.get());
  const auto claimed = claim(address);
  ASSERT_FALSE(claimed.has_value());
  EXPECT_THAT(claimed.error(), HasSubstr(address.to_string()));
  EXPECT_THAT(claimed.error(), HasSubstr("--listen"));
}

TEST(Claim, WorkersOfOneProcessShareAnAddress) {
  const auto first = open_tcp(SocketAddress::parse("[::1]:0").value()).value();
  const auto second = open_tcp(bound_address(first.get()));
  EXPECT_TRUE(second.has_value()) << second.error();
}

TEST(Claim, AnAddressThatIsNotHereIsRefusedWithARemedy) {
  const auto opened = open_udp(SocketAddress::parse("192.0.2.1:0").value());
  ASSERT_FALSE(opened.has_value());
  EXPECT_THAT(opened.error(), HasSubstr("add the address to an interface"));
}

}  // namespace
}  // namespace isthmus::dns64
