// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/core/cache/fact_cache.hpp"

#include <gtest/gtest.h>

#include <thread>

#include "tests/unit/dns64-svc/core/dns_lab.hpp"

namespace isthmus::dns64::test {
namespace {

FactPtr address(const std::string& name, std::uint32_t ttl = 60, TimePoint now = kNow) {
  return fact(name, rr::kA, {{Section::kAnswer, name, rr::kA, ttl, "192.0.2.1"}}, Security::kInsecure, 0,
              now);
}
std::string numbered(int i) {
  return "n" + std::to_string(i) + ".example.";
}

class FactCacheTest : public testing::Test {
 protected:
  Freshness find(const std::string& name, TimePoint now = kNow, std::uint16_t type = rr::kA,
                 std::uint16_t group = 0) {
    return cache.lookup(name_of(name).view(), type, group, now).freshness;
  }
  FactCache cache{{.max_bytes = 1 << 20, .stale_seconds = 100}, HashKey{}, 2};
};

TEST_F(FactCacheTest, FreshThenStaleThenGone) {
  cache.insert(address("www.example."), kNow);
  EXPECT_EQ(find("www.example."), Freshness::kFresh);
  EXPECT_EQ(find("www.example.", after(59)), Freshness::kFresh);
  EXPECT_EQ(find("www.example.", after(60)), Freshness::kStale);
  EXPECT_EQ(find("www.example.", after(159)), Freshness::kStale);
  EXPECT_EQ(find("www.example.", after(160)), Freshness::kMiss);
}

TEST_F(FactCacheTest, NameTypeAndGroupAreTheKey) {
  cache.insert(address("www.example."), kNow);
  EXPECT_EQ(find("www.example.", kNow, rr::kAaaa), Freshness::kMiss);
  EXPECT_EQ(find("www.example.", kNow, rr::kA, 1), Freshness::kMiss);
  EXPECT_EQ(find("ww.example."), Freshness::kMiss);
}

TEST_F(FactCacheTest, AnInsertReplaces) {
  cache.insert(address("www.example.", 60), kNow);
  cache.insert(address("www.example.", 90), kNow);
  EXPECT_EQ(cache.stats().entries, 1U);
  EXPECT_EQ(find("www.example.", after(80)), Freshness::kFresh);
}

TEST_F(FactCacheTest, AFailureDoesNotDriveOutWhatMayServeStale) {
  cache.insert(address("www.example."), kNow);
  cache.insert(failure_fact(name_of("www.example.").view(), rr::kA, {.now = after(61)}), after(61));
  EXPECT_EQ(find("www.example.", after(61)), Freshness::kStale);
  cache.insert(failure_fact(name_of("www.example.").view(), rr::kA, {.now = after(200)}), after(200));
  EXPECT_EQ(find("www.example.", after(200)), Freshness::kFresh);
  EXPECT_EQ(find("www.example.", after(205)), Freshness::kMiss) << "failures never serve stale";
}

// What failed validation is a failed refresh, but tells more than no answer at all.
TEST_F(FactCacheTest, NeitherDoesDataThatFailsValidation) {
  const auto name = name_of("www.example.");
  const auto bogus = [&](int now) {
    return fact("www.example.", rr::kA, {{Section::kAnswer, "www.example.", rr::kA, 60, "192.0.2.66"}},
                Security::kBogus, 0, after(now));
  };
  const auto security = [&](int now) {
    const auto found = cache.lookup(name.view(), rr::kA, 0, after(now)).fact;
    return found ? found->security() : Security::kSecure;
  };
  cache.insert(address("www.example."), kNow);
  cache.insert(bogus(55), after(55));
  EXPECT_EQ(find("www.example.", after(59)), Freshness::kFresh);
  EXPECT_EQ(security(59), Security::kInsecure) << "still the old answer";
  cache.insert(bogus(61), after(61));
  EXPECT_EQ(find("www.example.", after(61)), Freshness::kStale);
  cache.insert(bogus(160), after(160));
  EXPECT_EQ(security(160), Security::kBogus) << "the old answer's stale time is over";
  cache.insert(failure_fact(name.view(), rr::kA, {.now = after(161)}), after(161));
  EXPECT_EQ(security(161), Security::kBogus);
  EXPECT_EQ(find("www.example.", after(220)), Freshness::kMiss) << "bogus data never serves stale";
  cache.insert(failure_fact(name.view(), rr::kA, {.now = after(221)}), after(221));
  EXPECT_EQ(find("www.example.", after(221)), Freshness::kFresh) << "nor does it keep failures out then";
  cache.insert(bogus(222), after(222));
  EXPECT_EQ(security(222), Security::kBogus);
  cache.insert(address("www.example.", 60, after(223)), after(223));
  EXPECT_EQ(security(223), Security::kInsecure) << "a good answer replaces all";
}

TEST_F(FactCacheTest, StaysWithinItsBytesAndKeepsWhatIsUsed) {
  cache.set_limits({.max_bytes = 64 << 10, .stale_seconds = 100});
  cache.insert(address("hot.example.", 1000), kNow);
  for (int i = 0; i < 5000; ++i) {
    cache.insert(address(numbered(i), 1000), kNow);
    EXPECT_EQ(find("hot.example."), Freshness::kFresh) << i;
  }
  const auto stats = cache.stats();
  EXPECT_LE(stats.bytes, std::uint64_t{64 << 10});
  EXPECT_GT(stats.entries, 100U);
  EXPECT_EQ(stats.inserts, stats.entries + stats.evictions + stats.expired);
}

TEST_F(FactCacheTest, EverythingInsertedIsFoundAgainWhateverTheTablesShape) {
  for (int i = 0; i < 2000; ++i) cache.insert(address(numbered(i)), kNow);
  EXPECT_EQ(cache.flush(name_of("N7.example.").view()), 1U);
  EXPECT_EQ(find(numbered(7)), Freshness::kMiss);
  for (int i = 0; i < 2000; i += 2) cache.flush(name_of(numbered(i)).view());
  for (int i = 0; i < 2000; ++i)
    EXPECT_EQ(find(numbered(i)), i % 2 == 1 && i != 7 ? Freshness::kFresh : Freshness::kMiss) << i;
}

TEST_F(FactCacheTest, FlushesByNameSubtreeAndAll) {
  for (const char* name : {"example.", "a.example.", "b.a.example.", "other."})
    cache.insert(address(name), kNow);
  EXPECT_EQ(cache.flush_subtree(name_of("a.example.").view()), 2U);
  EXPECT_EQ(find("example."), Freshness::kFresh);
  EXPECT_EQ(cache.flush_all(), 2U);
  EXPECT_EQ(cache.stats().entries, 0U);
}

// Its own record is one of what a CNAME's answer holds: to forget the name is to forget it there, too.
TEST_F(FactCacheTest, AFlushReachesFactsWhoseChainLeadsThroughTheName) {
  const auto fill = [&] {
    cache.flush_all();
    cache.insert(fact("www.site.example.", rr::kA,
                      {{Section::kAnswer, "www.site.example.", rr::kCname, 60, "Node.cdn.example."},
                       {Section::kAnswer, "node.cdn.example.", rr::kCname, 60, "end.other."},
                       {Section::kAnswer, "end.other.", rr::kA, 60, "192.0.2.1"}}),
                 kNow);
    cache.insert(fact("nothing.site.example.", rr::kA,
                      {{Section::kAnswer, "nothing.site.example.", rr::kCname, 60, "gone.cdn.example."}},
                      Security::kInsecure, rcode::kNxDomain),
                 kNow);
    cache.insert(address("mail.example."), kNow);
  };
  fill();
  EXPECT_EQ(cache.flush(name_of("node.CDN.example.").view()), 1U);
  EXPECT_EQ(find("www.site.example."), Freshness::kMiss);
  fill();
  EXPECT_EQ(cache.flush(name_of("end.other.").view()), 1U);
  EXPECT_EQ(cache.flush(name_of("gone.cdn.example.").view()), 1U) << "the end, which has no record";
  fill();
  EXPECT_EQ(cache.flush_subtree(name_of("cdn.example.").view()), 2U);
  EXPECT_EQ(cache.flush(name_of("cdn.example.").view()), 0U);
  EXPECT_EQ(find("mail.example."), Freshness::kFresh);
}

TEST_F(FactCacheTest, FactsOutliveTheirEviction) {
  cache.insert(address("www.example."), kNow);
  const auto held = cache.lookup(name_of("www.example.").view(), rr::kA, 0, kNow).fact;
  cache.flush_all();
  EXPECT_EQ(name_to_string(held->name()), "www.example.");
}

TEST_F(FactCacheTest, ThreadsMayReadInsertAndFlushTogether) {
  cache.set_limits({.max_bytes = 32 << 10, .stale_seconds = 0});
  const auto work = [&](int seed) {
    for (int i = 0; i < 3000; ++i) {
      const auto name = numbered((i * 7 + seed) % 300);
      if (const auto found = cache.lookup(name_of(name).view(), rr::kA, 0, kNow); found.fact)
        ASSERT_EQ(name_to_string(found.fact->name()), name);
      else
        cache.insert(address(name), kNow);
      if (i % 500 == 0) cache.flush_subtree(name_of("example.").view());
    }
  };
  std::thread other{work, 1};
  work(2);
  other.join();
  EXPECT_LE(cache.stats().bytes, std::uint64_t{32 << 10});
}

FactPtr text(const std::string& name, std::size_t size) {
  return fact(name, rr::kTxt, {{Section::kAnswer, name, rr::kTxt, 1000, std::string(size, 'x')}});
}

// Its tables, too, must come down to what they may have, or they would leave nothing for facts.
TEST_F(FactCacheTest, ALoweredLimitHoldsAndTheCacheWorksOn) {
  cache.set_limits({.max_bytes = 16 << 20, .stale_seconds = 100});
  for (int i = 0; i < 20000; ++i) cache.insert(address(numbered(i), 1000), kNow);
  ASSERT_EQ(cache.stats().entries, 20000U);
  cache.set_limits({.max_bytes = 64 << 10, .stale_seconds = 100});
  for (int i = 0; i < 100; ++i) cache.insert(address("new" + std::to_string(i) + ".example.", 1000), kNow);
  EXPECT_LE(cache.stats().bytes, std::uint64_t{64 << 10});
  EXPECT_GT(cache.stats().entries, 100U);
  cache.insert(address("last.example.", 1000), kNow);
  cache.insert(address("other.example.", 1000), kNow);
  EXPECT_EQ(find("last.example."), Freshness::kFresh);
}

TEST_F(FactCacheTest, LargeFactsAfterManySmallOnesStayWithinTheBytesToo) {
  constexpr std::size_t kBytes = 512 << 10;
  cache.set_limits({.max_bytes = kBytes, .stale_seconds = 100});
  for (int i = 0; i < 5000; ++i) cache.insert(address(numbered(i), 1000), kNow);
  for (int i = 0; i < 50; ++i) {
    cache.insert(text("large" + std::to_string(i) + ".example.", 40000), kNow);
    ASSERT_LE(cache.stats().bytes, kBytes) << i;
  }
}

}  // namespace
}  // namespace isthmus::dns64::test
