// SPDX-License-Identifier: Apache-2.0
#include "common/control/state_dir.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "common/config/domain_lists.hpp"

namespace isthmus {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class StateDirTest : public testing::Test {
 protected:
  StateDirTest() {
    std::string pattern = testing::TempDir() + "isthmus-state-XXXXXX";
    root_ = mkdtemp(pattern.data());
    path_ = root_ + "/a/b";
  }
  ~StateDirTest() override { std::filesystem::remove_all(root_); }
  StateDirTest(const StateDirTest&) = delete;
  StateDirTest& operator=(const StateDirTest&) = delete;

  static GoodState sample() {
    GoodState state;
    state.policy.emplace().mutable_version()->set_counter(7);
    state.allocation.emplace().mutable_allocation()->add_addresses()->set_address("203.0.113.1");
    return state;
  }
  void edit(const std::string& name, const std::function<void(std::string&)>& change) const {
    std::ifstream in{path_ + "/" + name, std::ios::binary};
    std::string text{std::istreambuf_iterator<char>{in}, {}};
    change(text);
    std::ofstream{path_ + "/" + name, std::ios::binary} << text;
  }

  std::string root_, path_;
};

TEST_F(StateDirTest, WhatIsSavedIsLoaded) {
  {
    auto dir = StateDir::open(path_).value();
    ASSERT_TRUE(dir.save(sample()));
  }
  const auto loaded = StateDir::open(path_)->load();
  EXPECT_THAT(loaded.problems, IsEmpty());
  ASSERT_TRUE(loaded.state.policy);
  EXPECT_EQ(loaded.state.policy->version().counter(), 7U);
  ASSERT_TRUE(loaded.state.allocation);
  EXPECT_EQ(loaded.state.allocation->allocation().addresses(0).address(), "203.0.113.1");
  EXPECT_FALSE(loaded.state.health);
}

TEST_F(StateDirTest, AnEmptyDirectoryIsNoProblem) {
  const auto loaded = StateDir::open(path_)->load();
  EXPECT_THAT(loaded.problems, IsEmpty());
  EXPECT_FALSE(loaded.state.policy);
}

TEST_F(StateDirTest, WhatIsGivenUpLeavesTheDisk) {
  auto dir = StateDir::open(path_).value();
  auto state = sample();
  ASSERT_TRUE(dir.save(state));
  state.allocation.reset();
  ASSERT_TRUE(dir.save(state));
  EXPECT_FALSE(std::filesystem::exists(path_ + "/allocation"));
  EXPECT_TRUE(dir.load().state.policy);
}

TEST_F(StateDirTest, ADamagedFileIsNamedAndIgnoredAndTheOthersAreUsed) {
  auto dir = StateDir::open(path_).value();
  const std::vector<std::function<void(std::string&)>> damages{
      [](std::string& text) { text.clear(); },
      [](std::string& text) { text.pop_back(); },
      [](std::string& text) { text.back() = static_cast<char>(text.back() ^ 1); },
      [](std::string& text) { text[0] = 'X'; },
  };
  for (const auto& damage : damages) {
    std::filesystem::remove(path_ + "/policy");
    ASSERT_TRUE(StateDir{std::move(dir)}.save(sample()));
    dir = StateDir::open(path_).value();
    edit("policy", damage);
    const auto loaded = dir.load();
    EXPECT_FALSE(loaded.state.policy);
    EXPECT_THAT(loaded.problems, ElementsAre(HasSubstr(path_ + "/policy is damaged and is ignored")));
    EXPECT_TRUE(loaded.state.allocation);
  }
}

TEST_F(StateDirTest, ASecondProcessIsKeptOut) {
  const auto first = StateDir::open(path_);
  ASSERT_TRUE(first);
  const auto second = StateDir::open(path_);
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error(), HasSubstr("in use by another process"));
}

TEST_F(StateDirTest, TheMachineIdIsMadeOnce) {
  auto first = StateDir::open(path_)->machine_id();
  ASSERT_TRUE(first);
  EXPECT_EQ(first->size(), 32U);
  EXPECT_EQ(StateDir::open(path_)->machine_id(), first);
  EXPECT_NE(random_id(), *first);
}

TEST_F(StateDirTest, APathThatCannotBeMadeIsExplained) {
  std::ofstream{root_ + "/file"} << "x";
  const auto opened = StateDir::open(root_ + "/file/state");
  ASSERT_FALSE(opened);
  EXPECT_THAT(opened.error(), HasSubstr("cannot create the state directory"));
}

TEST_F(StateDirTest, PiecesOfListsAreKeptWithThePolicyThatNamesThem) {
  const auto chunk = cut_list("a.example", "").value().front();
  auto state = sample();
  state.policy->mutable_policy()->mutable_exclusions()->add_never_synthesize_lists()->add_chunks(chunk.hash);
  state.chunks[chunk.hash] = chunk.data;
  {
    auto dir = StateDir::open(path_).value();
    ASSERT_TRUE(dir.save(state));
    const auto loaded = dir.load();
    EXPECT_THAT(loaded.problems, IsEmpty());
    ASSERT_TRUE(loaded.state.chunks.contains(chunk.hash));
    EXPECT_EQ(*loaded.state.chunks.at(chunk.hash), "a.example.\n");
  }
  edit("chunks/" + chunk.hash, [](std::string& text) { text += "evil.example.\n"; });
  auto dir = StateDir::open(path_).value();
  const auto damaged = dir.load();
  EXPECT_THAT(damaged.problems, ElementsAre(HasSubstr("missing or damaged")));
  EXPECT_THAT(damaged.state.chunks, IsEmpty());
  ASSERT_TRUE(dir.save(sample()));
  EXPECT_FALSE(std::filesystem::exists(path_ + "/chunks/" + chunk.hash));
}

}  // namespace
}  // namespace isthmus
