// SPDX-License-Identifier: Apache-2.0
// What a worker does when much waits: an upstream of our own on loopback keeps silent until it is told to
// speak.
#include "dns64-svc/shell/worker.hpp"

#include <gmock/gmock.h>

#include <thread>

#include "tests/unit/dns64-svc/core/query_lab.hpp"
#include "tests/unit/dns64-svc/shell/fake_upstream.hpp"

namespace isthmus::dns64::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

const ClientAddress kV4Client = Ipv4Address{192, 0, 2, 7};

struct FakeChannel final : Channel {
  std::vector<Bytes> replies;
  void send(const ReplyPath&, std::span<const std::uint8_t> reply) override {
    replies.emplace_back(reply.begin(), reply.end());
  }
  bool may_drop = false;
  void abandon(const ReplyPath&, DropReason why) override { EXPECT_TRUE(may_drop) << kDropReasonNames[why]; }
};

class WorkerTest : public testing::Test {
 protected:
  void start(const WaitingLimits& waiting) {
    options_.waiting = waiting;
    auto loop = EventLoop::create().value();
    loop_ = loop.get();
    upstream_ = std::make_unique<FakeUpstream>(*loop_);
    workers_.push_back(
        std::make_unique<Worker>(0, cache_, workers_, resolver_answered_, std::move(loop), options_));
    workers_[0]->use_cookies(std::make_shared<const CookieJar>(CookieSecret{1, 2, 3}));
    run_policy();
    (void)ask("known.example.");
    turn_until([&] { return channel_.replies.size() == 1; });
    channel_.replies.clear();
  }
  void TearDown() override {
    upstream_.reset();  // its loop is the worker's
    workers_.clear();
  }

  // What is answered at once; nothing when the query waits, or when the answer came by the channel.
  Reply ask(const std::string& name, const ClientAddress& address = kClient, const Bytes& cookie = {},
            Transport transport = Transport::kUdp) {
    Bytes options;
    if (!cookie.empty()) {
      options = {0, option::kCookie, 0, static_cast<std::uint8_t>(cookie.size())};
      options.insert(options.end(), cookie.begin(), cookie.end());
    }
    const auto bytes = request({.name = name, .type = rr::kA, .edns = true, .options = options});
    RequestHandler& handler = *workers_[0];
    const ClientInfo client{.address = address, .transport = transport};
    const auto size = handler.handle(bytes, client, channel_, {}, room_);
    return read_reply(std::span{room_}.first(size));
  }
  void make_wait(int count) {
    for (int i = 0; i < count; ++i) {
      const auto before = waiting();
      const auto network = std::to_string(++strangers_);
      (void)ask("s" + network + ".example.", v6(("2001:db8:2:" + network + "::1").c_str()));
      ASSERT_EQ(waiting(), before + 1);
    }
  }
  void expect_overloaded() {
    ASSERT_EQ(channel_.replies.size(), 1U);
    const auto r = read_reply(channel_.replies[0]);
    EXPECT_EQ(r.header.rcode(), rcode::kServFail);
    EXPECT_THAT(std::string(r.opt_data.begin(), r.opt_data.end()), HasSubstr("limit of lookups"));
    channel_.replies.clear();
  }
  void expect_all_answered(std::size_t count) {
    upstream_->speak();
    turn_until([&] { return channel_.replies.size() == count; });
    for (const auto& bytes : channel_.replies) EXPECT_EQ(read_reply(bytes).answer.size(), 1U);
    channel_.replies.clear();
    EXPECT_EQ(waiting(), 0U);
  }
  // A fact of 300 s that has answered often.
  static FactPtr popular(int age) {
    auto made = fact("popular.example.", rr::kA, {a("popular.example.", "192.0.2.1")}, Security::kInsecure, 0,
                     boot_now() - std::chrono::seconds{age});
    for (int i = 0; i < 3; ++i) made->touch();
    return made;
  }
  [[nodiscard]] std::uint64_t waiting() const { return workers_[0]->stats().pending.get(); }
  [[nodiscard]] std::uint64_t count_of(Outcome outcome) const {
    return workers_[0]
        ->stats()
        .outcomes[static_cast<std::size_t>(Transport::kUdp)][static_cast<std::size_t>(outcome)]
        .get();
  }
  template <class Done>
  void turn_until(Done done) {
    for (int i = 0; i < 500 && !done(); ++i) loop_->turn(10ms);
    EXPECT_TRUE(done());
  }

  WorkerOptions options_;
  FactCache cache_{{}, {}};
  std::vector<std::unique_ptr<Worker>> workers_;
  FakeChannel channel_;
  std::unique_ptr<FakeUpstream> upstream_;

 private:
  void run_policy() {
    auto policy = lab_policy();
    policy.dns64.views[0].clients.emplace_back(Ipv4Prefix{});
    auto& resolver = policy.dns64.resolvers[0];
    resolver.mode = ResolverMode::kForward;
    resolver.upstreams = {{.address = "127.0.0.1", .port = upstream_->port()}};
    resolver.dnssec = false;
    auto orders = std::make_shared<Orders>();
    orders->runtime = Dns64Runtime::compile(policy, {}, groups_).value();
    orders->groups.emplace(orders->runtime->views()[0].resolver_group, resolver);
    std::thread{[&] { ASSERT_TRUE(workers_[0]->prepare(orders, orders->groups)); }}.join();
    const auto running = workers_[0]->run(orders);
    turn_until([&] { return running.wait_for(0s) == std::future_status::ready; });
  }

  ResolverGroups groups_;
  std::atomic<bool> resolver_answered_{false};
  EventLoop* loop_ = nullptr;
  Bytes room_ = Bytes(65535);
  int strangers_ = 0;
};

TEST_F(WorkerTest, WhenTooManyWaitAMissIsRefusedAtOnceAndHitsGoOn) {
  start({.queries = 4, .of_one_client = 100, .unproven = 100});
  make_wait(4);
  EXPECT_EQ(ask("snew.example.").header.id, 0) << "refused by the channel";
  expect_overloaded();
  EXPECT_EQ(count_of(Outcome::kOverloaded), 1U);
  EXPECT_EQ(waiting(), 4U);
  EXPECT_EQ(ask("known.example.").answer.size(), 1U);
  (void)ask("s1.example.");
  expect_overloaded();  // although the same is looked up already
  expect_all_answered(4);
  (void)ask("snew.example.");
  expect_all_answered(1);
  EXPECT_EQ(count_of(Outcome::kOverloaded), 2U);
}

TEST_F(WorkerTest, OneClientMayNotMakeAllTheOthersGoWithout) {
  start({.queries = 100, .of_one_client = 2, .unproven = 100});
  (void)ask("sa.example.", v6("2001:db8:1:1::7"));
  (void)ask("sb.example.", v6("2001:db8:1:1:ffff::8"));
  (void)ask("sc.example.", v6("2001:db8:1:1::9"));
  expect_overloaded();  // the third of its /64
  EXPECT_EQ(count_of(Outcome::kOverloaded), 1U);
  EXPECT_EQ(ask("known.example.", v6("2001:db8:1:1::9")).answer.size(), 1U);
  (void)ask("sc.example.", v6("2001:db8:1:2::9"));
  for (const auto* name : {"sd.example.", "se.example."}) (void)ask(name, kV4Client);
  EXPECT_EQ(waiting(), 5U);
  (void)ask("sf.example.", kV4Client);
  expect_overloaded();
  (void)ask("sf.example.", Ipv4Address{192, 0, 2, 8});
  expect_all_answered(6);
  (void)ask("sg.example.", kV4Client);
  expect_all_answered(1);
}

// Clients are answered by their deadline, whatever becomes of the lookup.
TEST_F(WorkerTest, AClientThatGaveUpMakesRoom) {
  start({.queries = 1, .of_one_client = 1, .unproven = 100});
  (void)ask("sa.example.");
  (void)ask("sb.example.");
  expect_overloaded();
  turn_until([&] { return waiting() == 0; });
  ASSERT_EQ(channel_.replies.size(), 1U);
  EXPECT_EQ(read_reply(channel_.replies[0]).header.rcode(), rcode::kServFail);
  channel_.replies.clear();
  (void)ask("sb.example.");
  EXPECT_EQ(waiting(), 1U);
}

TEST_F(WorkerTest, ManyMayWaitForOneNameButNoMoreThanItsLimit) {
  start({.queries = 100, .of_one_client = 100, .unproven = 100, .for_one_lookup = 3});
  for (int i = 0; i < 3; ++i) (void)ask("ssame.example.");
  EXPECT_EQ(waiting(), 3U);
  (void)ask("ssame.example.");
  expect_overloaded();
  (void)ask("sother.example.");
  expect_all_answered(4);
}

// RFC 7873 §5.2.3: a datagram's sender may be forged, and must not make more wait.
TEST_F(WorkerTest, WhenManyWaitAClientThatSpeaksCookiesHasToShowAGoodOne) {
  const Bytes half{9, 8, 7, 6, 5, 4, 3, 2};
  start({.queries = 8, .of_one_client = 8, .unproven = 3});
  make_wait(3);
  (void)ask("sa.example.", kClient, half);
  EXPECT_EQ(waiting(), 4U) << "not yet many";
  const auto bad = ask("sb.example.", kClient, half);
  EXPECT_EQ(bad.header.rcode() | (bad.opt_ttl >> 24 << 4), rcode::kBadCookie);
  EXPECT_EQ(count_of(Outcome::kBadCookie), 1U);
  EXPECT_EQ(waiting(), 4U);
  ASSERT_GE(bad.opt_data.size(), 4U + 24U);
  const Bytes whole(bad.opt_data.begin() + 4, bad.opt_data.begin() + 28);
  EXPECT_EQ(Bytes(whole.begin(), whole.begin() + 8), half);

  auto forged = whole;
  forged.back() ^= 1;
  (void)ask("sb.example.", kClient, forged);
  (void)ask("sb.example.", v6("2001:db8:9::9"), whole);  // of another address
  EXPECT_EQ(count_of(Outcome::kBadCookie), 3U);
  EXPECT_EQ(waiting(), 4U);
  EXPECT_EQ(ask("known.example.", kClient, half).answer.size(), 1U) << "hits need no proof";

  (void)ask("sb.example.", kClient, whole);
  EXPECT_EQ(waiting(), 5U);
  (void)ask("sc.example.", kClient, half, Transport::kTcp);
  EXPECT_EQ(waiting(), 6U) << "a stream proves the address";
  EXPECT_TRUE(ask("sd.example.", kV4Client).flag(flag::kTc)) << "who speaks no cookies has to come over TCP";
  EXPECT_EQ(waiting(), 6U);
  EXPECT_TRUE(channel_.replies.empty());
  expect_all_answered(6);
  (void)ask("se.example.", kClient, half);
  expect_all_answered(1);
  EXPECT_EQ(count_of(Outcome::kBadCookie), 3U);
}

TEST_F(WorkerTest, AReplyThatIsHeldBackRefreshesAllTheSame) {
  options_.responses_per_second = 1;
  channel_.may_drop = true;
  start({});
  cache_.insert(popular(0), boot_now());
  for (int i = 0; i < 50; ++i) (void)ask("popular.example.");
  cache_.insert(popular(295), boot_now());
  const auto before = upstream_->questions;
  EXPECT_TRUE(ask("popular.example.").answer.empty()) << "dropped, or told to come by TCP";
  turn_until([&] { return upstream_->questions > before; });
}

TEST_F(WorkerTest, SoDoesAnExplanation) {
  start({});
  cache_.insert(popular(295), boot_now());
  const auto before = upstream_->questions;
  Request asked;
  asked.flags = flag::kRd;
  asked.type = rr::kA;
  asked.klass = kClassIn;
  asked.has_question = true;
  asked.asked = asked.name = name_of("popular.example.");
  Explanation explained;
  workers_[0]->explain(asked, {.address = kClient}, [&](Explanation&& done) { explained = std::move(done); });
  turn_until([&] { return upstream_->questions > before; });
  EXPECT_TRUE(explained.step.from_cache);
}

TEST_F(WorkerTest, ItServesWhomAViewListsAndForwarders) {
  options_.forwarders = AddressList::parse({"2001:db9::53"}).value();
  start({});
  const RequestHandler& handler = *workers_[0];
  EXPECT_TRUE(handler.serves(kClient));
  EXPECT_TRUE(handler.serves(v6("2001:db9::53")));
  EXPECT_FALSE(handler.serves(v6("2001:db9::54")));
}

}  // namespace
}  // namespace isthmus::dns64::test
