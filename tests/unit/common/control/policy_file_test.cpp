// SPDX-License-Identifier: Apache-2.0
#include "common/control/policy_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "tests/support/policies.hpp"

namespace isthmus {
namespace {

using testing::HasSubstr;

class PolicyFileTest : public testing::Test {
 protected:
  PolicyFileTest() {
    std::string pattern = testing::TempDir() + "isthmus-policy-XXXXXX";
    directory_ = mkdtemp(pattern.data());
  }
  ~PolicyFileTest() override { std::filesystem::remove_all(directory_); }
  PolicyFileTest(const PolicyFileTest&) = delete;
  PolicyFileTest& operator=(const PolicyFileTest&) = delete;

  void write(const std::string& name, const std::string& text) const {
    std::ofstream{directory_ / name} << text;
  }
  static std::string with_list() {
    return test::kSmallPolicy + std::string{"exclusions: {never_synthesize_lists: [{file: corp.txt}]}\n"};
  }

  std::filesystem::path directory_;
};

TEST_F(PolicyFileTest, WhatIsUnchangedIsNotLoadedAgain) {
  write("policy.yaml", test::kSmallPolicy);
  PolicyFile file{directory_ / "policy.yaml"};
  const auto first = file.load();
  ASSERT_TRUE(first);
  EXPECT_EQ(first->policy.pools.size(), 1U);
  EXPECT_EQ(first->wire.pools_size(), 1);
  EXPECT_FALSE(file.load_if_changed());
  write("policy.yaml", "exclusions: {}\n" + std::string{test::kSmallPolicy});
  EXPECT_TRUE(file.load_if_changed());
  EXPECT_FALSE(file.load_if_changed());
}

TEST_F(PolicyFileTest, ARefusalIsToldOnce) {
  write("policy.yaml", "poolz: []\n");
  PolicyFile file{directory_ / "policy.yaml"};
  EXPECT_FALSE(file.load());
  EXPECT_FALSE(file.load_if_changed());
}

TEST_F(PolicyFileTest, AFileThatWentIsToldOnceAndLoadedWhenItIsBack) {
  write("policy.yaml", test::kSmallPolicy);
  PolicyFile file{directory_ / "policy.yaml"};
  ASSERT_TRUE(file.load());
  std::filesystem::remove(directory_ / "policy.yaml");
  const auto gone = file.load_if_changed();
  ASSERT_TRUE(gone);
  ASSERT_FALSE(*gone);
  EXPECT_THAT(gone->error()[0].message, HasSubstr("cannot read"));
  EXPECT_FALSE(file.load_if_changed());
  write("policy.yaml", test::kSmallPolicy);
  const auto back = file.load_if_changed();
  EXPECT_TRUE(back && *back) << "though it says what it said before";
}

TEST_F(PolicyFileTest, AChangedListIsAChange) {
  write("policy.yaml", with_list());
  write("corp.txt", "one.example\n");
  PolicyFile file{directory_ / "policy.yaml"};
  const auto first = file.load();
  ASSERT_TRUE(first);
  ASSERT_EQ(first->chunks.size(), 1U);
  EXPECT_FALSE(file.load_if_changed());
  write("corp.txt", "one.example\ntwo.example\n");
  const auto second = file.load_if_changed();
  ASSERT_TRUE(second && *second);
  EXPECT_NE((*second)->chunks[0].hash, first->chunks[0].hash);
}

}  // namespace
}  // namespace isthmus
