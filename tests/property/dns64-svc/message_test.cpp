// SPDX-License-Identifier: Apache-2.0
// What is written is read back: random names and records through the writer, the view, a fact and a reply.
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "dns64-svc/core/query.hpp"
#include "dns64-svc/core/wire/message_view.hpp"
#include "dns64-svc/core/wire/message_writer.hpp"
#include "dns64-svc/core/wire/rdata.hpp"

namespace isthmus::dns64 {
namespace {

class Random {
 public:
  explicit Random(unsigned seed) : engine_(seed) {}
  std::size_t below(std::size_t n) { return std::uniform_int_distribution<std::size_t>{0, n - 1}(engine_); }
  // Few labels from a small alphabet, so that names share suffixes and compression has work; some binary.
  Name name() {
    Name made;
    for (std::size_t labels = below(5); labels > 0; --labels) {
      std::vector<std::uint8_t> label(1 + below(3));
      for (auto& c : label) c = static_cast<std::uint8_t>(below(8) == 0 ? below(256) : 'a' + below(3));
      EXPECT_TRUE(made.append_label(label));
    }
    return made;
  }

 private:
  std::mt19937 engine_;
};

struct Record {
  Section section;
  Name owner;
  std::uint16_t type;
  std::uint32_t ttl;
  std::vector<std::uint8_t> rdata;
};

Record random_record(Random& random, Section section) {
  Record record{section, random.name(), rr::kA, static_cast<std::uint32_t>(random.below(100000)), {}};
  if (random.below(2) == 0) {
    record.type = random.below(2) == 0 ? rr::kCname : rr::kDname;
    const Name target = random.name();
    record.rdata.assign(target.view().begin(), target.view().end());
  } else {
    record.rdata = {198, 51, static_cast<std::uint8_t>(random.below(100)), 7};
  }
  return record;
}

TEST(MessageProperty, EveryWrittenRecordIsReadBack) {
  for (unsigned seed = 0; seed < 2000; ++seed) {
    Random random{seed};
    std::vector<std::uint8_t> buffer(4096);
    MessageWriter writer{buffer};
    const Name question = random.name();
    writer.question(question.view(), rr::kA, kClassIn);
    std::vector<Record> records;
    for (const auto section : {Section::kAnswer, Section::kAuthority, Section::kAdditional}) {
      for (std::size_t n = random.below(6); n > 0; --n) {
        records.push_back(random_record(random, section));
        const auto& r = records.back();
        ASSERT_TRUE(writer.record(r.section, r.owner.view(), r.type, kClassIn, r.ttl, r.rdata));
      }
    }
    buffer.resize(writer.finish(1, flag::kQr));
    const auto message = MessageView::parse(buffer);
    ASSERT_TRUE(message) << seed;
    EXPECT_TRUE(equal_names(message->question_name().view(), question.view()));
    auto cursor = message->records();
    for (const auto& want : records) {
      const auto got = cursor.next();
      ASSERT_TRUE(got) << seed;
      std::size_t at = got->owner_at;
      EXPECT_TRUE(equal_names(Name::read(buffer, at)->view(), want.owner.view())) << seed;
      EXPECT_EQ(got->section, want.section);
      EXPECT_EQ(got->type, want.type);
      EXPECT_EQ(got->ttl, want.ttl);
      if (want.type == rr::kA) {
        EXPECT_TRUE(std::equal(got->rdata.begin(), got->rdata.end(), want.rdata.begin(), want.rdata.end()));
      } else {
        at = got->rdata_at;
        EXPECT_TRUE(equal_names(Name::read(buffer, at)->view(), want.rdata)) << seed;
      }
    }
    EXPECT_FALSE(cursor.next());
    EXPECT_FALSE(cursor.error());
  }
}

// For any chain and any addresses: as many AAAA as usable A, each the embedding of its A, none longer-lived
// than anything it rests on.
TEST(SynthesisProperty, EachAGivesItsAaaaAndNoTtlIsLongerThanItsSources) {
  Policy policy;
  TranslationPrefix prefix;
  prefix.name = "p";
  prefix.prefix = Ipv6Prefix::parse("2001:db8:64::/48").value();
  prefix.ipv4_ranges = {Ipv4Prefix{}};
  prefix.allow_non_global = true;
  policy.translation_prefixes = {prefix};
  policy.dns64.resolvers.emplace_back().name = "r";
  View view;
  view.clients = {IpPrefix{Ipv6Prefix{}}};
  view.prefixes = {"p"};
  view.resolver = "r";
  policy.dns64.views = {view};
  ResolverGroups groups;
  const auto runtime = Dns64Runtime::compile(policy, {}, groups).value();
  const auto pref64 = Pref64::make(prefix.prefix).value();
  const TimePoint now{std::chrono::seconds{5000}};

  for (unsigned seed = 0; seed < 2000; ++seed) {
    Random random{seed};
    const auto write = [&](std::uint16_t type, auto fill) {
      std::vector<std::uint8_t> buffer(8192);
      MessageWriter writer{buffer};
      writer.question(Name::parse("q.example.")->view(), type, kClassIn);
      fill(writer);
      buffer.resize(writer.finish(0, flag::kQr));
      return fact_from_response(buffer, {.now = now}, {}).value();
    };
    std::uint32_t least = 1 + static_cast<std::uint32_t>(random.below(4000));
    const auto denial = write(rr::kAaaa, [&](MessageWriter& writer) {
      std::vector<std::uint8_t> soa(22);  // two root names, five numbers
      store_be32(&soa[18], least);
      ASSERT_TRUE(writer.record(Section::kAuthority, Name::parse("example.")->view(), rr::kSoa, kClassIn,
                                86400, soa));
    });
    least = std::min(least, 3600U);  // max_negative_ttl
    std::vector<Ipv4Address> addresses;
    const std::size_t links = random.below(4);
    const auto a = write(rr::kA, [&](MessageWriter& writer) {
      Name owner = Name::parse("q.example.").value();
      for (std::size_t i = 0; i < links; ++i) {
        const auto ttl = 1 + static_cast<std::uint32_t>(random.below(4000));
        least = std::min(least, ttl);
        const Name next = Name::parse("c" + std::to_string(i) + ".example.").value();
        ASSERT_TRUE(writer.record(Section::kAnswer, owner.view(), rr::kCname, kClassIn, ttl, next.view()));
        owner = next;
      }
      const auto ttl = 1 + static_cast<std::uint32_t>(random.below(4000));
      least = std::min(least, ttl);
      for (std::size_t n = 1 + random.below(8); n > 0; --n) {
        addresses.emplace_back(static_cast<std::uint32_t>(random.below(0xffffffff)));
        std::vector<std::uint8_t> rdata(4);
        addresses.back().store(rdata.data());
        ASSERT_TRUE(writer.record(Section::kAnswer, owner.view(), rr::kA, kClassIn, ttl, rdata));
      }
    });
    FactCache cache{{}, HashKey{}, 0};
    cache.insert(denial, now);
    cache.insert(a, now);
    Request request;
    request.has_question = true;
    request.asked = request.name = Name::parse("q.example.").value();
    request.type = rr::kAaaa;
    request.klass = kClassIn;
    ClientInfo client;
    client.transport = Transport::kTcp;
    std::vector<std::uint8_t> room(65535);
    Query query;
    const auto step = query.start(request, client, {.runtime = *runtime, .cache = cache, .now = now}, room);
    ASSERT_EQ(step.outcome, Outcome::kSynthesized) << seed;
    const auto reply = MessageView::parse(std::span{room}.first(step.size)).value();
    auto cursor = reply.records();
    std::size_t found = 0;
    while (const auto record = cursor.next()) {
      if (record->type != rr::kAaaa) continue;
      ASSERT_LT(found, addresses.size());
      EXPECT_EQ(read_aaaa(record->rdata), embed(pref64, addresses[found++])) << seed;
      EXPECT_EQ(record->ttl, least) << seed;
    }
    EXPECT_EQ(found, addresses.size()) << seed;
  }
}

}  // namespace
}  // namespace isthmus::dns64
