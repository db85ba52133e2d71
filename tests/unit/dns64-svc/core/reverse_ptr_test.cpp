// SPDX-License-Identifier: Apache-2.0
// RFC 6147 §5.3.1: PTR under the prefixes of the site, those in use and those that were.
#include <gmock/gmock.h>

#include "tests/unit/dns64-svc/core/query_lab.hpp"

namespace isthmus::dns64::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::string ip6_arpa(const char* address) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  const auto parsed = v6(address);
  for (const auto byte : parsed.bytes())
    text = std::string{kDigits[byte & 15], '.', kDigits[byte >> 4], '.'} + text;
  return text + "ip6.arpa.";
}

class ReversePtrTest : public QueryTest {
 protected:
  // What is looked up for the PTR of an address.
  std::string asked_for(const char* embedding) {
    query = Query{};
    const auto step = start({.name = ip6_arpa(embedding), .type = rr::kPtr});
    return step.kind == Step::Kind::kAsk ? step.to_resolve()[0].name.to_string() : "nothing";
  }
};

constexpr const char* kReverse4 = "33.2.0.192.in-addr.arpa.";

// RFC 6052 §2.4.
TEST_F(ReversePtrTest, PrefixesOfAllSixLengthsInUseOrRetiredLeadIntoInAddrArpa) {
  for (const auto& row : kSixLengths) {
    const auto prefix = Ipv6Prefix::parse(row.prefix).value();
    policy = lab_policy();
    healthy = {};
    run_policy();
    EXPECT_EQ(asked_for(row.address), ip6_arpa(row.address)) << row.prefix << ", not of the site";
    policy.translation_prefixes[0].prefix = prefix;
    run_policy();
    EXPECT_EQ(asked_for(row.address), kReverse4) << row.prefix;
    policy = lab_policy();
    healthy.retired_prefixes = {{prefix, prefix.length()}};
    run_policy();
    EXPECT_EQ(asked_for(row.address), kReverse4) << row.prefix << ", retired";
  }
}

TEST_F(ReversePtrTest, PrefixesOfAllNodesDoSoForEveryClient) {
  auto& prefix = policy.translation_prefixes[0];
  prefix.prefix = Ipv6Prefix::parse("2001:db8:64::/48").value();
  prefix.assignment = Assignment::kPerNode;
  healthy.nodes.push_back({"n1", {{"wkp", Pref64::parse("2001:db8:64:1::/96").value(), "n1"}}});
  EXPECT_EQ(asked_for("2001:db8:64:1::192.0.2.33"), kReverse4);
  EXPECT_EQ(asked_for("2001:db8:64:2::192.0.2.33"), kReverse4) << "of a node that is not healthy now";
}

TEST_F(ReversePtrTest, APrefixOfAllNodesThatIsRetiredDoesSoAsItDidInUse) {
  healthy.retired_prefixes = {{Ipv6Prefix::parse("2001:db8:64::/48").value(), 96}};
  EXPECT_EQ(asked_for("2001:db8:64:1::192.0.2.33"), kReverse4);
}

// RFC 2308 §3.
TEST_F(ReversePtrTest, ADenialUnderAPrefixMayBeKeptAsLongAsThatOfInAddrArpa) {
  const auto name = ip6_arpa("64:ff9b::192.0.2.33");
  const auto zone = name.substr(2);
  know(fact(kReverse4, rr::kPtr, {soa(70, 70, "192.in-addr.arpa.")}, Security::kInsecure, rcode::kNxDomain));
  auto r = ask({.name = name, .type = rr::kPtr});
  EXPECT_EQ(r.header.rcode(), rcode::kNxDomain);
  EXPECT_THAT(r.answer, IsEmpty());
  EXPECT_THAT(r.authority, ElementsAre(zone + " 70 SOA ipv4only.arpa."));
  cache.flush_all();
  know(fact(kReverse4, rr::kPtr, {soa(3600, 3600, "192.in-addr.arpa.")}));
  r = ask({.name = name, .type = rr::kPtr});
  EXPECT_EQ(r.header.rcode(), rcode::kNoError);
  EXPECT_THAT(r.authority, ElementsAre(zone + " 600 SOA ipv4only.arpa."));
}

// RFC 6147 §5.5, as for A: bogus data is not synthesized from, whatever CD says.
TEST_F(ReversePtrTest, ABogusPtrLeadsNowhereWithOrWithoutCd) {
  for (const bool positive : {true, false}) {
    cache.flush_all();
    const Rr ptr{Section::kAnswer, kReverse4, rr::kPtr, 300, "www.example."};
    know(fact(kReverse4, rr::kPtr, {positive ? ptr : soa(70, 70, "192.in-addr.arpa.")}, Security::kBogus));
    for (const bool cd : {false, true}) {
      const auto r = ask({.name = ip6_arpa("64:ff9b::192.0.2.33"), .type = rr::kPtr, .cd = cd, .edns = true});
      EXPECT_EQ(r.header.rcode(), rcode::kServFail);
      EXPECT_THAT(r.answer, IsEmpty());
      EXPECT_EQ(last.outcome, Outcome::kBogus);
      EXPECT_EQ(last.ede, ede::kDnssecBogus);
    }
  }
}

// RFC 8880 §7.2: each is a zone of its own.
TEST_F(ReversePtrTest, TheReverseNamesOfIpv4OnlyArpaDenyWithASoaOfTheirOwn) {
  for (const std::string name : {"170.0.0.192.in-addr.arpa.", "171.0.0.192.in-addr.arpa."}) {
    const auto r = ask({.name = name, .type = rr::kA});
    EXPECT_EQ(r.header.rcode(), rcode::kNoError);
    EXPECT_THAT(r.answer, IsEmpty());
    EXPECT_THAT(r.authority, ElementsAre(name + " 600 SOA ipv4only.arpa."));
    EXPECT_THAT(ask({.name = name, .type = rr::kSoa}).answer, ElementsAre(name + " 600 SOA ipv4only.arpa."));
  }
}

TEST_F(ReversePtrTest, OfPrefixesThatOverlapTheLongestTellsWhereTheAddressLies) {
  policy.translation_prefixes[0].prefix = Ipv6Prefix::parse("2001:db8::/32").value();
  healthy.retired_prefixes = {{Ipv6Prefix::parse("2001:db8:122::/48").value(), 48},
                              {Ipv6Prefix::parse("2001:db8:122:344::/96").value(), 96}};
  EXPECT_EQ(asked_for("2001:db8:122:344::192.0.2.33"), kReverse4);
  EXPECT_EQ(asked_for("2001:db8:122:c000:2:2100::"), kReverse4);
  EXPECT_EQ(asked_for("2001:db8:c000:221::"), kReverse4);
}

TEST_F(ReversePtrTest, WhatWasAskedBeforeThePolicyChangedIsNoAnswerToWhatIsAskedNow) {
  policy.translation_prefixes[0].prefix = Ipv6Prefix::parse("2001:db8:122:344::/96").value();
  const auto before = start({.name = ip6_arpa("2001:db8:122:344::192.0.2.33"), .type = rr::kPtr});
  ASSERT_EQ(before.kind, Step::Kind::kAsk);
  policy.translation_prefixes[0].prefix = Ipv6Prefix::parse("2001:db8:122::/48").value();
  run_policy();
  const auto now = query.on_deadline(Deadline::kAaaa, context(), room);
  ASSERT_EQ(now.kind, Step::Kind::kAsk);
  constexpr const char* kReverseNow = "0.0.68.3.in-addr.arpa.";
  EXPECT_EQ(now.to_resolve()[0].name.to_string(), kReverseNow);
  const auto ptr = [](const char* owner, const char* name) {
    return fact(owner, rr::kPtr, {{Section::kAnswer, owner, rr::kPtr, 300, name}});
  };
  const auto slot = before.to_resolve()[0].slot;
  EXPECT_EQ(query.on_fact(slot, ptr(kReverse4, "old.example."), context(), room).kind, Step::Kind::kWait);
  EXPECT_EQ(query.on_failure(slot, ResolveFailure::kServFail, context(), room).kind, Step::Kind::kWait);
  const auto r =
      reply(query.on_fact(now.to_resolve()[0].slot, ptr(kReverseNow, "new.example."), context(), room));
  ASSERT_EQ(r.answer.size(), 2U);  // a CNAME leads there
  EXPECT_TRUE(r.answer.back().ends_with("PTR new.example.")) << r.answer.back();
}

}  // namespace
}  // namespace isthmus::dns64::test
