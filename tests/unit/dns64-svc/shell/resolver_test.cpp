// SPDX-License-Identifier: Apache-2.0
// The real libunbound on our loop, without a network: names that it answers by itself, questions
// that nobody answers, configuration that it refuses.
#include "dns64-svc/shell/resolver.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include "dns64-svc/core/wire/message_view.hpp"
#include "dns64-svc/shell/event_loop.hpp"
#include "dns64-svc/shell/ub_event_base.hpp"
#include "tests/support/scratch_dir.hpp"

namespace isthmus::dns64 {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

class ResolverTest : public testing::Test {
 protected:
  std::unique_ptr<ResolverContext> make(const Resolver& resolver) {
    return ResolverContext::create(base_, resolver, {},
                                   [this](ResolverReply&& reply) { replies_.push_back(std::move(reply)); })
        .value();
  }
  std::unique_ptr<EventLoop> loop_ = EventLoop::create().value();
  UbEventBase base_{*loop_};
  std::vector<ResolverReply> replies_;
  // Nobody listens on the discard port of loopback.
  const Resolver nobody_{.name = "nobody",
                         .mode = ResolverMode::kForward,
                         .upstreams = {{.address = "127.0.0.1", .port = 9}},
                         .dnssec = false};
  const Resolver nobody_with_dnssec_{
      .name = "nobody", .mode = ResolverMode::kForward, .upstreams = {{.address = "127.0.0.1", .port = 9}}};
};

TEST_F(ResolverTest, AHitIsDeliveredByUsAndNotFromInsideAsk) {
  const auto context = make({.name = "local", .dnssec = false});
  ASSERT_TRUE(context->ask(*Name::parse("1.0.0.127.in-addr.arpa."), rr::kPtr, 5));
  EXPECT_TRUE(replies_.empty());
  EXPECT_TRUE(context->deliver());
  ASSERT_EQ(replies_.size(), 1U);
  EXPECT_EQ(replies_[0].ticket, 5U);
  EXPECT_EQ(replies_[0].rcode, rcode::kNoError);
  const auto view = MessageView::parse(replies_[0].wire);
  ASSERT_TRUE(view.has_value());
  EXPECT_EQ(view->header().answers, 1U);
  EXPECT_FALSE(context->deliver());
}

TEST_F(ResolverTest, PacketsOfSeveralHitsDoNotOverwriteEachOther) {
  const auto context = make({.name = "local", .dnssec = false});
  ASSERT_TRUE(context->ask(*Name::parse("1.0.0.127.in-addr.arpa."), rr::kPtr, 1));
  ASSERT_TRUE(context->ask(*Name::parse("nothing.invalid."), rr::kA, 2));
  context->deliver();
  ASSERT_EQ(replies_.size(), 2U);
  EXPECT_EQ(MessageView::parse(replies_[0].wire).value().question_type(), rr::kPtr);
  EXPECT_EQ(MessageView::parse(replies_[1].wire).value().header().rcode(), rcode::kNxDomain);
}

TEST_F(ResolverTest, WhoeverWaitsForADeletedContextIsTold) {
  auto context = make(nobody_);
  ASSERT_TRUE(context->ask(*Name::parse("host.example."), rr::kA, 3));
  ASSERT_TRUE(context->ask(*Name::parse("other.example."), rr::kA, 4));
  context.reset();
  ASSERT_EQ(replies_.size(), 2U);
  EXPECT_EQ(replies_[0].rcode, rcode::kServFail);
  loop_->turn(0ms);  // nothing of it is left in the loop
}

TEST_F(ResolverTest, TheFileThatFollowsTheRootsKeysBeginsWithTheBuiltInOnes) {
  const auto path = "/tmp/isthmus-root-anchor-" + std::to_string(getpid());
  for (const bool empty : {false, true}) {
    if (empty) std::ofstream{path};
    const auto context = ResolverContext::create(base_, {.name = "main"}, {}, [](auto&&) {}, {.file = path});
    EXPECT_TRUE(context.has_value());
    std::ifstream in{path};
    const std::string text{std::istreambuf_iterator<char>{in}, {}};
    EXPECT_THAT(text, HasSubstr("20326 8 2"));
    unlink(path.c_str());
  }
}

TEST_F(ResolverTest, TheRootsKeysAreAskedForWhereAFileFollowsThem) {
  const auto path = "/tmp/isthmus-root-anchor-" + std::to_string(getpid());
  const auto of_file =
      ResolverContext::create(base_, nobody_with_dnssec_, {}, [](auto&&) {}, {.file = path}).value();
  EXPECT_LE(of_file->follow_root(), 1h);
  EXPECT_EQ(make(nobody_with_dnssec_)->follow_root(), 1h);
  EXPECT_EQ(make(nobody_)->follow_root(), 1h);
  unlink(path.c_str());
}

TEST(RootAnchorFile, WhatAKilledProcessLeftBesideItGoesAndNothingElse) {
  const test::ScratchDir dir;
  const auto file = dir.path() + "/root-anchor.key";
  for (const auto* ending : {"", ".new", ".12084-0-47102105040", ".1-2-3-4", ".old", ".a-b-c"})
    std::ofstream{file + ending} << "keys";
  remove_half_written_anchors(file);
  std::set<std::string> left;
  for (const auto& entry : std::filesystem::directory_iterator{dir.path()})
    left.insert(entry.path().filename().string());
  EXPECT_EQ(left, (std::set<std::string>{"root-anchor.key", "root-anchor.key.new", "root-anchor.key.1-2-3-4",
                                         "root-anchor.key.old", "root-anchor.key.a-b-c"}));
  remove_half_written_anchors("/nonexistent/root-anchor.key");
}

TEST_F(ResolverTest, AFileThatCannotBeMadeLeavesTheBuiltInAnchors) {
  EXPECT_TRUE(
      ResolverContext::create(base_, {.name = "main"}, {}, [](auto&&) {}, {.file = "/nonexistent/root.key"})
          .has_value());
}

TEST_F(ResolverTest, ABadTrustAnchorIsRefusedAtStart) {
  const auto context = ResolverContext::create(
      base_, {.name = "main", .trust_anchors = {"this is no anchor"}}, {}, [](auto&&) {});
  ASSERT_FALSE(context.has_value());
  EXPECT_THAT(context.error(), HasSubstr("resolver main"));
  EXPECT_THAT(context.error(), HasSubstr("trust_anchors"));
}

}  // namespace
}  // namespace isthmus::dns64
