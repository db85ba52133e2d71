// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/core/cookies.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace isthmus::dns64 {
namespace {

std::vector<std::uint8_t> hex(const std::string& text) {
  std::vector<std::uint8_t> bytes;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2)
    bytes.push_back(static_cast<std::uint8_t>(std::stoul(text.substr(i, 2), nullptr, 16)));
  return bytes;
}
CookieSecret secret(const std::string& text) {
  CookieSecret s;
  const auto bytes = hex(text);
  std::copy(bytes.begin(), bytes.end(), s.begin());
  return s;
}

// The first vectors of SipHash's reference implementation (key 00..0f, input 00 01 02 ...), little-endian.
TEST(SipHash, ReferenceVectors) {
  const auto key = secret("000102030405060708090a0b0c0d0e0f");
  EXPECT_EQ(siphash24(key, {}), 0x726fdb47dd0e0e31ULL);
  EXPECT_EQ(siphash24(key, hex("000102030405060708090a0b0c0d0e")), 0xa129ca6149be45e5ULL);
}

// RFC 9018 Appendix A.1 and A.2: secret and times as given there.
constexpr char kSecretA1[] = "e5e973e5a6b2a43f48e7dc849e37bfcf";
TEST(Cookies, Rfc9018AppendixA1LearningANewServerCookie) {
  const CookieJar jar{secret(kSecretA1)};
  const auto cookie = jar.bake(hex("2464c4abcf10c957"), Ipv4Address{198, 51, 100, 100}, 1559731985);
  EXPECT_EQ(std::vector<std::uint8_t>(cookie.begin(), cookie.end()),
            hex("2464c4abcf10c957010000005cf79f111f8130c3eee29480"));
}

TEST(Cookies, Rfc9018AppendixA4Ipv6AndARotatedSecret) {
  CookieJar jar{secret("445536bcd2513298075a5d379663c962")};
  jar.accept_also(secret("dd3bdf9344b678b185a6f5cb60fca715"));
  const ClientAddress client = Ipv6Address::parse("2001:db8:220:1:59de:d0f4:8769:82b8").value();
  const auto old_cookie = hex("22681ab97d52c298010000005cf7c57926556bd0934c72f8");
  EXPECT_EQ(jar.check(old_cookie, client, 1559741961), CookieVerdict::kValid);
  const auto fresh = jar.bake(old_cookie, client, 1559741961);
  EXPECT_EQ(std::vector<std::uint8_t>(fresh.begin(), fresh.end()),
            hex("22681ab97d52c298010000005cf7c609a6bb79d16625507a"));
}

TEST(Cookies, WrongOldFutureAndForeignCookiesAreInvalid) {
  const CookieJar jar{secret(kSecretA1)};
  const ClientAddress client = Ipv4Address{198, 51, 100, 100};
  const auto cookie = hex("2464c4abcf10c957010000005cf79f111f8130c3eee29480");
  constexpr std::uint32_t kMade = 1559731985;
  EXPECT_EQ(jar.check(cookie, client, kMade + 3600), CookieVerdict::kValid);
  EXPECT_EQ(jar.check(cookie, client, kMade + 3601), CookieVerdict::kInvalid);
  EXPECT_EQ(jar.check(cookie, client, kMade - 301), CookieVerdict::kInvalid);
  EXPECT_EQ(jar.check(cookie, Ipv4Address{198, 51, 100, 101}, kMade), CookieVerdict::kInvalid);
  EXPECT_EQ(jar.check(hex("2464c4abcf10c957"), client, kMade), CookieVerdict::kAbsent);
  EXPECT_EQ(jar.check(hex("2464c4abcf10c95701"), client, kMade), CookieVerdict::kMalformed);
}

}  // namespace
}  // namespace isthmus::dns64
