// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/core/wire/message_writer.hpp"

#include <gmock/gmock.h>

#include "tests/unit/dns64-svc/core/dns_lab.hpp"

namespace isthmus::dns64::test {
namespace {

using testing::ElementsAre;

TEST(MessageWriter, NamesAreCompressedAndReadBack) {
  const auto bytes = response("www.example.", rr::kA,
                              {{Section::kAnswer, "www.example.", rr::kCname, 60, "host.other.example."},
                               {Section::kAnswer, "host.other.example.", rr::kA, 60, "192.0.2.1"},
                               {Section::kAuthority, "example.", rr::kSoa, 60, "60"}});
  const auto reply = read_reply(bytes);
  EXPECT_THAT(reply.answer,
              ElementsAre("www.example. 60 CNAME host.other.example.", "host.other.example. 60 A 192.0.2.1"));
  EXPECT_THAT(reply.authority, ElementsAre("example. 60 SOA ns.example."));
  // header, question, CNAME (pointer; "host" "other" pointer), A (pointer), SOA (pointers; "ns" "hostmaster")
  EXPECT_EQ(bytes.size(), 12U + 17 + (12 + 13) + (12 + 4) + (12 + 5 + 13 + 20));
}

TEST(MessageWriter, ARecordThatDoesNotFitLeavesNoTrace) {
  Bytes buffer(12 + 17 + 16 + 15);  // header, question, one A, and one byte less than another
  MessageWriter writer{buffer};
  writer.question(name_of("www.example.").view(), rr::kA, kClassIn);
  const auto data = rdata_of(rr::kA, "192.0.2.1");
  EXPECT_TRUE(writer.record(Section::kAnswer, name_of("www.example.").view(), rr::kA, kClassIn, 1, data));
  const auto size = writer.size();
  EXPECT_FALSE(writer.record(Section::kAnswer, name_of("www.example.").view(), rr::kA, kClassIn, 1, data));
  EXPECT_EQ(writer.size(), size);
  EXPECT_EQ(writer.count(Section::kAnswer), 1);
  buffer.resize(writer.finish(7, flag::kQr));
  EXPECT_THAT(read_reply(buffer).answer, ElementsAre("www.example. 1 A 192.0.2.1"));
}

TEST(MessageWriter, TypesThatMustNotBeCompressedAreNot) {
  // RFC 3597 §4: DNAME's target stays whole.
  const auto bytes =
      response("www.example.", rr::kA, {{Section::kAnswer, "example.", rr::kDname, 60, "new.example."}});
  EXPECT_EQ(bytes.size(), 12U + 17 + 12 + 13);
}

TEST(MessageWriter, RdataOfTheWrongFormIsRefused) {
  Bytes buffer(512);
  MessageWriter writer{buffer};
  const Bytes not_a_name{5, 'a'};
  EXPECT_FALSE(writer.record(Section::kAnswer, Name{}.view(), rr::kCname, kClassIn, 1, not_a_name));
  EXPECT_EQ(writer.size(), kHeaderSize);
}

}  // namespace
}  // namespace isthmus::dns64::test
