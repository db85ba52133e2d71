// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/core/fact.hpp"

#include <gmock/gmock.h>

#include "common/net/big_endian.hpp"
#include "tests/unit/dns64-svc/core/dns_lab.hpp"

namespace isthmus::dns64::test {
namespace {

std::vector<std::uint16_t> types_of(const Fact& fact, Fact::PartIndex part) {
  std::vector<std::uint16_t> types;
  StoredRecord record;
  for (RecordWalk walk{fact, part}; walk.next(record);) types.push_back(record.type);
  return types;
}

TEST(FactFromResponse, KeepsTheChainInOrderAndNamesItsEnd) {
  const auto f = fact("WWW.example.", rr::kA,
                      {{Section::kAnswer, "c.example.", rr::kA, 60, "192.0.2.1"},
                       {Section::kAnswer, "b.example.", rr::kCname, 70, "c.example."},
                       {Section::kAnswer, "www.example.", rr::kCname, 80, "b.example."}});
  EXPECT_THAT(types_of(*f, Fact::kAnswer), testing::ElementsAre(rr::kCname, rr::kCname, rr::kA));
  EXPECT_EQ(f->fields().chain_count, 2);
  EXPECT_EQ(final_owner(*f).to_string(), "c.example.");
  EXPECT_EQ(name_to_string(f->name()), "www.example.");
  EXPECT_EQ(f->fields().ttl, 60U);
  EXPECT_TRUE(f->is_positive());
}

TEST(FactFromResponse, WhatWasNotAskedForIsLeftOut) {
  const auto f = fact("www.example.", rr::kA,
                      {{Section::kAnswer, "www.example.", rr::kA, 60, "192.0.2.1"},
                       {Section::kAnswer, "evil.example.", rr::kA, 5, "192.0.2.66"},
                       {Section::kAnswer, "www.example.", rr::kTxt, 5, "chatter"},
                       {Section::kAuthority, "example.", rr::kNs, 5, "ns.example."},
                       soa(5, 5)});
  EXPECT_THAT(types_of(*f, Fact::kAnswer), testing::ElementsAre(rr::kA));
  EXPECT_THAT(types_of(*f, Fact::kAuthority), testing::IsEmpty());
  EXPECT_EQ(f->fields().ttl, 60U);
}

TEST(FactFromResponse, ANegativeAnswerKeepsOneSoaAndItsTtl) {
  // RFC 2308 §5: the smaller of the SOA's TTL and MINIMUM.
  struct Row {
    std::uint32_t ttl, minimum, want;
  };
  for (const auto& row : {Row{300, 60, 60}, Row{30, 60, 30}, Row{90000, 90000, 3600}}) {
    const auto f =
        fact("www.example.", rr::kA, {soa(row.ttl, row.minimum), soa(row.ttl, row.minimum, "other.")});
    EXPECT_EQ(f->fields().negative_ttl, row.want);
    EXPECT_EQ(f->fields().ttl, row.want);
    EXPECT_THAT(types_of(*f, Fact::kAuthority), testing::ElementsAre(rr::kSoa));
    EXPECT_TRUE(f->is_nodata());
  }
}

// RFC 2308 §5, RFC 9077 §3: or it would be kept for longer downstream.
TEST(FactFromResponse, TheSoaAndProofsOfADenialLiveNoLongerThanIt) {
  const auto wire = response("www.example.", rr::kA,
                             {soa(3600, 3600), {Section::kAuthority, "www.example.", rr::kNsec, 3600, "n"}});
  const auto f = fact_from_response(wire, {.now = kNow}, {.max_negative_ttl = 60}).value();
  for (const auto part : {Fact::kAuthority, Fact::kAuthorityDnssec}) {
    StoredRecord record;
    ASSERT_TRUE(RecordWalk(*f, part).next(record));
    EXPECT_EQ(record.ttl, 60U);
  }
}

// RFC 2308 §2.1, RFC 6604 §3.
TEST(FactFromResponse, ANameErrorKeepsItsChainAndNoRecordsOfANameThatDoesNotExist) {
  const auto f = fact("www.example.", rr::kAaaa,
                      {{Section::kAnswer, "www.example.", rr::kCname, 60, "b.example."},
                       {Section::kAnswer, "b.example.", rr::kAaaa, 60, "::ffff:192.0.2.1"},
                       soa(30, 30)},
                      Security::kInsecure, rcode::kNxDomain);
  EXPECT_THAT(types_of(*f, Fact::kAnswer), testing::ElementsAre(rr::kCname));
  EXPECT_THAT(types_of(*f, Fact::kAuthority), testing::ElementsAre(rr::kSoa));
  EXPECT_EQ(f->rcode(), rcode::kNxDomain);
  EXPECT_EQ(f->fields().ttl, 30U);
}

TEST(FactFromResponse, TtlsAreCapped) {
  const auto ttl_of = [](std::uint32_t ttl, Security security) {
    return fact("www.example.", rr::kA, {{Section::kAnswer, "www.example.", rr::kA, ttl, "192.0.2.1"}},
                security)
        ->fields()
        .ttl;
  };
  EXPECT_EQ(ttl_of(1000000, Security::kInsecure), 86400U);
  EXPECT_EQ(ttl_of(0x80000000U, Security::kInsecure), 0U);  // RFC 2181 §8
  EXPECT_EQ(ttl_of(1000, Security::kBogus), 60U);
}

TEST(FactFromResponse, UpstreamErrorsBecomeFailures) {
  const auto f = fact("www.example.", rr::kA, {}, Security::kInsecure, rcode::kServFail);
  EXPECT_TRUE(f->is_failure());
  EXPECT_EQ(f->fields().ttl, 5U);
}

TEST(FactFromResponse, ALoopOfCnamesIsAnError) {
  const auto bytes = response("a.example.", rr::kA,
                              {{Section::kAnswer, "a.example.", rr::kCname, 60, "b.example."},
                               {Section::kAnswer, "b.example.", rr::kCname, 60, "a.example."}});
  // Each record is used once, so the loop ends as an answer without a final RRset.
  const auto made = fact_from_response(bytes, {}, {});
  ASSERT_TRUE(made);
  EXPECT_FALSE((*made)->is_positive());
  std::vector<Rr> many;
  for (int i = 0; i < 40; ++i)
    many.push_back({Section::kAnswer, "n" + std::to_string(i) + ".example.", rr::kCname, 60,
                    "n" + std::to_string(i + 1) + ".example."});
  EXPECT_EQ(fact_from_response(response("n0.example.", rr::kA, many), {}, {}).error(),
            WireError::kChainTooLong);
}

// unbound follows 11 CNAMEs.
TEST(FactFromResponse, AChainOfElevenDnamesIsKeptWhole) {
  std::vector<Rr> chain;
  const auto zone = [](int i) { return "z" + std::to_string(i) + ".example."; };
  for (int i = 0; i < 11; ++i) {
    chain.push_back({Section::kAnswer, zone(i), rr::kDname, 60, zone(i + 1)});
    chain.push_back({Section::kAnswer, "www." + zone(i), rr::kCname, 60, "www." + zone(i + 1)});
  }
  chain.push_back({Section::kAnswer, "www." + zone(11), rr::kA, 60, "192.0.2.1"});
  const auto f = fact("www." + zone(0), rr::kA, chain);
  EXPECT_EQ(f->fields().chain_count, 22);
  EXPECT_EQ(f->final_count(), 1);
}

// RFC 6672 §3.1: whatever is asked for below a DNAME.
TEST(FactFromResponse, QuestionsForCnameAndDnameBelowADnameKeepItWithItsSignature) {
  const Rr dname{Section::kAnswer, "old.example.", rr::kDname, 60, "new.example."};
  const Rr made{Section::kAnswer, "www.old.example.", rr::kCname, 60, "www.new.example."};
  const Rr signature{Section::kAnswer, "old.example.", rr::kRrsig, 60, "sig"};
  const auto cname = fact("www.old.example.", rr::kCname, {made, dname, signature});
  EXPECT_THAT(types_of(*cname, Fact::kAnswer), testing::ElementsAre(rr::kDname, rr::kCname));
  EXPECT_THAT(types_of(*cname, Fact::kAnswerDnssec), testing::ElementsAre(rr::kRrsig));
  EXPECT_EQ(cname->fields().chain_count, 1);
  EXPECT_TRUE(cname->is_positive());
  EXPECT_EQ(final_owner(*cname).to_string(), "www.old.example.");
  const auto none = fact("www.old.example.", rr::kDname, {made, dname, signature, soa()});
  EXPECT_THAT(types_of(*none, Fact::kAnswer), testing::ElementsAre(rr::kDname, rr::kCname));
  EXPECT_THAT(types_of(*none, Fact::kAnswerDnssec), testing::ElementsAre(rr::kRrsig));
  EXPECT_TRUE(none->is_nodata());
  EXPECT_EQ(fact("old.example.", rr::kDname, {dname})->final_count(), 1)
      << "at its own name it is the answer";
}

// RFC 6672 §2.2: the DNAME says why. It comes without SOA, so it is not kept for long.
TEST(FactFromResponse, ANameThatADnameMakesTooLongIsANameErrorWithItsDname) {
  for (const std::uint16_t type : {rr::kA, rr::kCname}) {
    const auto f = fact("www.old.example.", type,
                        {{Section::kAnswer, "old.example.", rr::kDname, 60, "new.example."},
                         {Section::kAnswer, "old.example.", rr::kRrsig, 60, "sig"}},
                        Security::kSecure, rcode::kYxDomain);
    EXPECT_THAT(types_of(*f, Fact::kAnswer), testing::ElementsAre(rr::kDname));
    EXPECT_THAT(types_of(*f, Fact::kAnswerDnssec), testing::ElementsAre(rr::kRrsig));
    EXPECT_TRUE(f->is_name_error());
    EXPECT_FALSE(f->is_failure());
    EXPECT_EQ(f->fields().ttl, 5U);
  }
}

TEST(FactFromResponse, BrokenAnswersAreNamed) {
  auto bytes =
      response("www.example.", rr::kA, {{Section::kAnswer, "www.example.", rr::kA, 60, "192.0.2.1"}});
  const auto error_of = [](const Bytes& b) { return fact_from_response(b, {}, {}).error(); };
  auto cut = bytes;
  cut.pop_back();
  EXPECT_EQ(error_of(cut), WireError::kTruncated);
  auto query = bytes;
  query[2] = 0;
  EXPECT_EQ(error_of(query), WireError::kNotAResponse);
  auto two = bytes;
  two[5] = 2;
  EXPECT_EQ(error_of(two), WireError::kQuestionCount);
  auto short_a = bytes;
  store_be16(&short_a[short_a.size() - 6], 3);
  short_a.pop_back();
  EXPECT_EQ(error_of(short_a), WireError::kBadRdata);
  EXPECT_EQ(fact_from_response(bytes, {}, {.max_records = 0}).error(), WireError::kTooManyRecords);
}

TEST(Fact, FreshnessCountsFromWhenItWasReceived) {
  const auto f = fact("www.example.", rr::kA, {{Section::kAnswer, "www.example.", rr::kA, 60, "192.0.2.1"}});
  EXPECT_TRUE(f->is_fresh(1059));
  EXPECT_FALSE(f->is_fresh(1060));
  EXPECT_EQ(f->remaining(1010), 50U);
}

TEST(Fact, ARefreshIsClaimedOnce) {
  const auto f = nodata("www.example.", rr::kA);
  EXPECT_TRUE(f->claim_refresh(1000));
  EXPECT_FALSE(f->claim_refresh(1009));
  EXPECT_TRUE(f->claim_refresh(1010));
}

TEST(Fact, ACachedNameOfTwoFactsCostsLessThanHalfAKilobyte) {
  const auto aaaa = nodata("www.subscriber-name.example.", rr::kAaaa);
  const auto a = fact("www.subscriber-name.example.", rr::kA,
                      {{Section::kAnswer, "www.subscriber-name.example.", rr::kA, 60, "192.0.2.1"}});
  EXPECT_LT(aaaa->memory() + a->memory(), 400U);
}

// Another worker's clock may have been read a moment later.
TEST(Fact, OneFromTheNextSecondIsNew) {
  const auto f = nodata("www.example.", rr::kA, 60);
  const auto before = to_seconds(kNow) - 1;
  EXPECT_EQ(f->age(before), 0U);
  EXPECT_TRUE(f->is_fresh(before));
  EXPECT_EQ(f->remaining(before), 60U);
}

}  // namespace
}  // namespace isthmus::dns64::test
