// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/core/doh.hpp"

#include <gtest/gtest.h>

#include "tests/unit/dns64-svc/core/dns_lab.hpp"

namespace isthmus::dns64::test {
namespace {

// RFC 8484 §4.1.1: the example's question for www.example.com A.
constexpr char kRfcTarget[] = "/dns-query?dns=AAABAAABAAAAAAAAA3d3dwdleGFtcGxlA2NvbQAAAQAB";

TEST(Doh, TheExampleOfTheRfcIsDecoded) {
  EXPECT_EQ(check_doh_head("GET", kRfcTarget, "").value(), DohMethod::kGet);
  const auto message = message_of_target(kRfcTarget).value();
  EXPECT_EQ(message.size(), 33U);
  EXPECT_TRUE(is_answerable(message));
  EXPECT_EQ(MessageView::parse(message)->question_name().to_string(), "www.example.com.");
}

TEST(Doh, OtherParametersAndTheAbsoluteFormDoNotDisturb) {
  const std::string target =
      "https://dns.example/dns-query?a=b&dns=AAABAAABAAAAAAAAA3d3dwdleGFtcGxlA2NvbQAAAQAB&c";
  EXPECT_TRUE(check_doh_head("GET", target, "").has_value());
  EXPECT_EQ(message_of_target(target)->size(), 33U);
}

TEST(Doh, EachMistakeHasItsStatus) {
  EXPECT_EQ(check_doh_head("GET", "/", "").error(), HttpStatus::kNotFound);
  EXPECT_EQ(check_doh_head("GET", "/dns-query/x?dns=AAAA", "").error(), HttpStatus::kNotFound);
  EXPECT_EQ(check_doh_head("PUT", "/dns-query", "").error(), HttpStatus::kMethodNotAllowed);
  EXPECT_EQ(check_doh_head("POST", "/dns-query", "text/plain").error(), HttpStatus::kUnsupportedMediaType);
  EXPECT_EQ(check_doh_head("POST", "/dns-query", "").error(), HttpStatus::kUnsupportedMediaType);
  EXPECT_EQ(check_doh_head("POST", "/dns-query", "Application/DNS-Message ; v=1").value(), DohMethod::kPost);
  EXPECT_EQ(message_of_target("/dns-query").error(), HttpStatus::kBadRequest);
  EXPECT_EQ(message_of_target("/dns-query?xdns=AAAA").error(), HttpStatus::kBadRequest);
  for (const auto* text : {"AAAAA", "AA+A", "AA/A", "AAA=", "AA A", "AB"})  // the last has spare bits set
    EXPECT_EQ(message_of_target(std::string{"/dns-query?dns="} + text).error(), HttpStatus::kBadRequest)
        << text;
  EXPECT_EQ(message_of_target("/dns-query?dns=" + std::string(88000, 'A')).error(),
            HttpStatus::kContentTooLarge);
}

TEST(Doh, WhatIsNoQueryCannotBeAnswered) {
  auto message = request({});
  EXPECT_TRUE(is_answerable(message));
  EXPECT_FALSE(is_answerable(std::span{message}.first(11)));
  message[2] |= 0x80;
  EXPECT_FALSE(is_answerable(message));
}

// RFC 8484 §5.1.
TEST(Doh, AnAnswerLivesAsLongAsItsSmallestTtl) {
  EXPECT_EQ(lifetime_of(response("a.example.", rr::kA,
                                 {{Section::kAnswer, "a.example.", rr::kCname, 30, "b.example."},
                                  {Section::kAnswer, "b.example.", rr::kA, 300, "192.0.2.1"},
                                  {Section::kAuthority, "example.", rr::kNs, 5, "ns.example."}})),
            30U);
}

TEST(Doh, ANegativeAnswerLivesAsLongAsItsSoaAndAnErrorNotAtAll) {
  EXPECT_EQ(lifetime_of(response("a.example.", rr::kA, {soa(60)})), 60U);
  EXPECT_EQ(lifetime_of(response("a.example.", rr::kA, {soa(3600, 60)})), 60U) << "the SOA's MINIMUM";
  EXPECT_EQ(lifetime_of(response("a.example.", rr::kA, {}, rcode::kServFail)), 0U);
  EXPECT_EQ(lifetime_of(Bytes{1, 2, 3}), 0U);
}

// RFC 8484 §5.1 speaks of answers without records; a denial behind a CNAME may be kept no longer.
TEST(Doh, ADenialBehindAChainLivesNoLongerThanItsSoa) {
  const Rr chain{Section::kAnswer, "a.example.", rr::kCname, 86400, "b.example."};
  for (const auto code : {rcode::kNoError, rcode::kNxDomain}) {
    EXPECT_EQ(lifetime_of(response("a.example.", rr::kA, {chain, soa(60)}, code)), 60U);
    EXPECT_EQ(lifetime_of(response("a.example.", rr::kA, {chain, soa(90000, 90000)}, code)), 86400U);
  }
}

TEST(Doh, AServiceThatIsNotReadyIsTriedAgainAndALimitIsALimit) {
  EXPECT_EQ(status_of(DropReason::kNotReady), HttpStatus::kServiceUnavailable);
  EXPECT_EQ(status_of(DropReason::kRateLimited), HttpStatus::kTooManyRequests);
}

// RFC 9110 §5.6.7.
TEST(Doh, DatesAreWrittenAsHttpWritesThem) {
  EXPECT_EQ(http_date(784111777), "Sun, 06 Nov 1994 08:49:37 GMT");
}

}  // namespace
}  // namespace isthmus::dns64::test
