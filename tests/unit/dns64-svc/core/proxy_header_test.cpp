// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/core/proxy_header.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace isthmus::dns64 {
namespace {

using Bytes = std::vector<std::uint8_t>;

// HAProxy's proxy-protocol.txt §2.2: signature, version and command, family and transport, length.
Bytes header(std::uint8_t command, std::uint8_t family, const Bytes& rest) {
  Bytes bytes{0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a, command, family};
  bytes.push_back(static_cast<std::uint8_t>(rest.size() >> 8));
  bytes.push_back(static_cast<std::uint8_t>(rest.size()));
  bytes.insert(bytes.end(), rest.begin(), rest.end());
  return bytes;
}

const Bytes kInet{198, 51, 100, 7, 192, 0, 2, 1, 0x9c, 0x40, 0, 53};
const Bytes kInet6{0x20, 1,    0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7,     // from
                   0x20, 1,    0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x53,  // to
                   0x9c, 0x40, 0,    53};

TEST(ProxyHeader, NamesAnIpv4Client) {
  auto bytes = header(0x21, 0x11, kInet);
  const auto size = bytes.size();
  bytes.push_back('x');  // the client's own bytes
  const auto parsed = parse_proxy_header(bytes).value();
  EXPECT_EQ(parsed.size, size);
  EXPECT_EQ(parsed.client, ClientAddress(Ipv4Address{198, 51, 100, 7}));
}

TEST(ProxyHeader, NamesAnIpv6ClientOfADatagram) {
  const auto parsed = parse_proxy_header(header(0x21, 0x22, kInet6)).value();
  EXPECT_EQ(parsed.client, ClientAddress(Ipv6Address::parse("2001:db8::7").value()));
}

TEST(ProxyHeader, AMappedAddressIsItsIpv4Client) {
  Bytes mapped(36);
  mapped[10] = mapped[11] = 0xff;
  mapped[12] = 198, mapped[13] = 51, mapped[14] = 100, mapped[15] = 7;
  EXPECT_EQ(parse_proxy_header(header(0x21, 0x21, mapped))->client,
            ClientAddress(Ipv4Address{198, 51, 100, 7}));
}

TEST(ProxyHeader, TypeLengthValuesBehindTheAddressesAreSkipped) {
  auto rest = kInet;
  rest.insert(rest.end(), {0x04, 0, 2, 0, 0});
  const auto bytes = header(0x21, 0x11, rest);
  EXPECT_EQ(parse_proxy_header(bytes)->size, bytes.size());
}

TEST(ProxyHeader, LocalAndFamiliesWithoutAddressLeaveThePeerAsItIs) {
  EXPECT_EQ(parse_proxy_header(header(0x20, 0x00, {}))->client, std::nullopt);
  EXPECT_EQ(parse_proxy_header(header(0x20, 0x11, kInet))->client, std::nullopt);  // §2.2: ignore the family
  EXPECT_EQ(parse_proxy_header(header(0x21, 0x00, {}))->client, std::nullopt);
  EXPECT_EQ(parse_proxy_header(header(0x21, 0x31, Bytes(216)))->client, std::nullopt);
}

TEST(ProxyHeader, EveryCutIsTruncatedOrNotYetWhole) {
  const auto whole = header(0x21, 0x21, kInet6);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const std::span<const std::uint8_t> cut{whole.data(), size};
    EXPECT_EQ(proxy_header_size(cut).value(), size < 16 ? 16 : whole.size()) << size;
    EXPECT_EQ(parse_proxy_header(cut).error(), ProxyError::kTruncated) << size;
  }
}

TEST(ProxyHeader, AnythingElseIsRefusedAtItsFirstWrongByte) {
  EXPECT_EQ(proxy_header_size(Bytes{0x0d, 0x0b}).error(), ProxyError::kNoSignature);
  const Bytes version1{'P', 'R', 'O', 'X', 'Y', ' '};
  EXPECT_EQ(proxy_header_size(version1).error(), ProxyError::kNoSignature);
  EXPECT_EQ(parse_proxy_header(header(0x11, 0x11, kInet)).error(), ProxyError::kBadVersion);
  EXPECT_EQ(parse_proxy_header(header(0x22, 0x11, kInet)).error(), ProxyError::kBadVersion);
  EXPECT_EQ(parse_proxy_header(header(0x21, 0x41, kInet)).error(), ProxyError::kBadAddress);
  EXPECT_EQ(parse_proxy_header(header(0x21, 0x13, kInet)).error(), ProxyError::kBadAddress);
  EXPECT_EQ(parse_proxy_header(header(0x21, 0x11, Bytes(11))).error(), ProxyError::kBadAddress);
  EXPECT_EQ(parse_proxy_header(header(0x21, 0x21, Bytes(35))).error(), ProxyError::kBadAddress);
  EXPECT_EQ(proxy_header_size(header(0x21, 0x11, Bytes(2000))).error(), ProxyError::kTooLong);
}

}  // namespace
}  // namespace isthmus::dns64
