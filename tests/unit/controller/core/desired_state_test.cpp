// SPDX-License-Identifier: Apache-2.0
#include "controller/core/desired_state.hpp"

#include <gtest/gtest.h>

namespace isthmus::controller {
namespace {

PolicyEdit edit(std::uint64_t revision) {
  auto policy = std::make_shared<Policy>();
  policy->revision = revision;
  return {.number = 0, .time = {}, .author = "alice", .comment = "because", .text = {policy, nullptr}};
}

Policy with_revision(std::uint64_t revision) {
  return *edit(revision).text.policy;
}

TEST(DesiredState, VersionsCountUpAndTheNewestIsWanted) {
  DesiredState state{PolicyOrigin::kStore, "the store", false};
  EXPECT_EQ(nullptr, state.newest());
  EXPECT_EQ(1U, state.take(edit(0)));
  EXPECT_EQ(2U, state.take(edit(0)));
  EXPECT_EQ(2U, state.newest()->number);
  EXPECT_TRUE(state.find(1));
  EXPECT_EQ(EditFailure::kNoSuchVersion, state.find(3).error().kind);
}

TEST(DesiredState, WhoHasNotSeenTheLastChangeIsRefusedAndToldWhoseItWas) {
  DesiredState state{PolicyOrigin::kStore, "the store", false};
  EXPECT_TRUE(state.check(PolicyOrigin::kStore, {}, 0));
  (void)state.take(edit(0));
  (void)state.take(edit(0));
  EXPECT_TRUE(state.check(PolicyOrigin::kStore, {}, 2));
  EXPECT_TRUE(state.check(PolicyOrigin::kStore, {}, std::nullopt));
  const auto refused = state.check(PolicyOrigin::kStore, {}, 1);
  ASSERT_FALSE(refused);
  EXPECT_EQ(EditFailure::kConflict, refused.error().kind);
  EXPECT_NE(std::string::npos, refused.error().message.find("alice"));
}

TEST(DesiredState, WhatComesFromTheOtherPlaceIsRefused) {
  const DesiredState file{PolicyOrigin::kFile, "file p.yaml", false};
  const auto refused = file.check(PolicyOrigin::kStore, {}, std::nullopt);
  ASSERT_FALSE(refused);
  EXPECT_EQ(EditFailure::kReadOnly, refused.error().kind);
  EXPECT_NE(std::string::npos, refused.error().message.find("p.yaml"));
  const DesiredState store{PolicyOrigin::kStore, "the store", false};
  EXPECT_EQ(EditFailure::kReadOnly, store.check(PolicyOrigin::kFile, {}, std::nullopt).error().kind);
}

TEST(DesiredState, WithSeveralControllersAFileMustSayWhichIsNewer) {
  DesiredState state{PolicyOrigin::kFile, "file p.yaml", true};
  EXPECT_EQ(EditFailure::kNoRevision, state.check(PolicyOrigin::kFile, with_revision(0), {}).error().kind);
  EXPECT_TRUE(state.check(PolicyOrigin::kFile, with_revision(5), {}));
  (void)state.take(edit(5));
  EXPECT_EQ(EditFailure::kOldRevision, state.check(PolicyOrigin::kFile, with_revision(4), {}).error().kind);
  EXPECT_EQ(EditFailure::kOldRevision, state.check(PolicyOrigin::kFile, with_revision(5), {}).error().kind);
  EXPECT_TRUE(state.check(PolicyOrigin::kFile, with_revision(6), {}));
}

TEST(DesiredState, OneControllerNeedsNoRevisionsButGoesNotBackWhenThereAreSome) {
  DesiredState state{PolicyOrigin::kFile, "file p.yaml", false};
  EXPECT_TRUE(state.check(PolicyOrigin::kFile, with_revision(0), {}));
  (void)state.take(edit(5));
  EXPECT_TRUE(state.check(PolicyOrigin::kFile, with_revision(5), {}));
  EXPECT_EQ(EditFailure::kOldRevision, state.check(PolicyOrigin::kFile, with_revision(4), {}).error().kind);
}

TEST(DesiredState, OldVersionsAreForgottenAndRestoredOnesGoOnCounting) {
  DesiredState state{PolicyOrigin::kStore, "the store", false};
  for (std::uint64_t i = 0; i < DesiredState::kKept + 5; ++i) (void)state.take(edit(0));
  EXPECT_EQ(DesiredState::kKept, state.edits().size());
  EXPECT_FALSE(state.find(5));
  DesiredState again{PolicyOrigin::kStore, "the store", false};
  for (const auto& kept : state.edits()) again.restore(kept);
  EXPECT_EQ(DesiredState::kKept + 6, again.take(edit(0)));
}

}  // namespace
}  // namespace isthmus::controller
