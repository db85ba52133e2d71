// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/core/cookie_secrets.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace isthmus::dns64 {
namespace {

using testing::HasSubstr;

constexpr char kOld[] = "dd3bdf9344b678b185a6f5cb60fca715";
constexpr char kNew[] = "445536bcd2513298075a5d379663c962";
constexpr std::array<std::uint8_t, 8> kClientCookie{1, 2, 3, 4, 5, 6, 7, 8};
const ClientAddress kClient = Ipv4Address{192, 0, 2, 1};

CookieJar jar(const std::string& text) {
  return parse_cookie_secrets(text).value();
}
CookieVerdict verdict(const CookieJar& maker, const CookieJar& judge) {
  return judge.check(maker.bake(kClientCookie, kClient, 1000), kClient, 1000);
}

TEST(CookieSecrets, TheFirstMakesCookiesAndAllAreAccepted) {
  const auto both = jar(std::string{"# rotated in spring\n"} + kNew + "\r\n\n  " + kOld + " # until noon\n");
  EXPECT_EQ(both.bake(kClientCookie, kClient, 5), jar(kNew).bake(kClientCookie, kClient, 5));
  EXPECT_EQ(verdict(jar(kOld), both), CookieVerdict::kValid);
  EXPECT_EQ(verdict(both, jar(kOld)), CookieVerdict::kInvalid);
}

// Replicas are given each step one after another; no cookie of one may be refused by another meanwhile.
TEST(CookieSecrets, ARotationInThreeStepsIsNeverNoticed) {
  const std::string steps[] = {kOld, std::string{kOld} + "\n" + kNew, std::string{kNew} + "\n" + kOld};
  for (std::size_t step = 0; step + 1 < std::size(steps); ++step) {
    EXPECT_EQ(verdict(jar(steps[step]), jar(steps[step + 1])), CookieVerdict::kValid) << step;
    EXPECT_EQ(verdict(jar(steps[step + 1]), jar(steps[step])), CookieVerdict::kValid) << step;
  }
}

TEST(CookieSecrets, MistakesAreNamedByLineAndSecretsNeverShown) {
  const auto error = parse_cookie_secrets(std::string{kNew} + "\nabcdef\n").error();
  EXPECT_THAT(error, HasSubstr("line 2"));
  EXPECT_THAT(error, Not(HasSubstr("abcdef")));
  EXPECT_THAT(parse_cookie_secrets("xx5536bcd2513298075a5d379663c962").error(), HasSubstr("hexadecimal"));
  EXPECT_THAT(parse_cookie_secrets("# nothing\n").error(), HasSubstr("no secret"));
  std::string many;
  for (int i = 0; i < 5; ++i) many += std::string{kNew} + "\n";
  EXPECT_THAT(parse_cookie_secrets(many).error(), HasSubstr("line 5"));
}

}  // namespace
}  // namespace isthmus::dns64
