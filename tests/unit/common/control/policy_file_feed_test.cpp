// SPDX-License-Identifier: Apache-2.0
// Real files in a temporary directory; waits are for events, with a limit only a broken feed reaches.
#include "common/control/policy_file_feed.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <mutex>

#include "tests/support/policies.hpp"

namespace isthmus {
namespace {

using testing::HasSubstr;

namespace fs = std::filesystem;

class PolicyFileFeedTest : public testing::Test {
 protected:
  PolicyFileFeedTest() {
    std::string pattern = testing::TempDir() + "isthmus-feed-XXXXXX";
    directory_ = mkdtemp(pattern.data());
    path_ = directory_ / "policy.yaml";
  }
  ~PolicyFileFeedTest() override { fs::remove_all(directory_); }
  PolicyFileFeedTest(const PolicyFileFeedTest&) = delete;
  PolicyFileFeedTest& operator=(const PolicyFileFeedTest&) = delete;

  ServiceHandlers handlers() {
    ServiceHandlers handlers;
    handlers.on_policy = [this](const std::shared_ptr<const Policy>& policy, Version version) -> Applied {
      const std::lock_guard lock{mutex_};
      changed_.notify_all();
      if (cannot_ > 0) {
        --cannot_;
        return failure(Rejection{Rejection::Kind::kNodeCannot, {{"workers", "are busy"}}});
      }
      policy_ = policy;
      version_ = version;
      changed_.notify_all();
      return {};
    };
    handlers.on_allocation = [this](const Allocation& allocation, Version) -> Applied {
      const std::lock_guard lock{mutex_};
      allocation_ = allocation;
      return {};
    };
    return handlers;
  }
  void write(const fs::path& path, std::string_view text) { std::ofstream{path} << text; }
  bool wait_for_version(std::uint64_t counter) {
    std::unique_lock lock{mutex_};
    return changed_.wait_for(lock, std::chrono::seconds{20}, [&] { return version_.counter >= counter; });
  }
  static std::string with_exclusion(const char* prefix) {
    std::string text{test::kSmallPolicy};
    text.append("exclusions: {ipv4_destinations: [").append(prefix).append("]}\n");
    return text;
  }

  fs::path directory_, path_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::shared_ptr<const Policy> policy_;
  Version version_;
  Allocation allocation_;
  int cannot_ = 0;  // so often
};

TEST_F(PolicyFileFeedTest, TheFirstLoadGivesPolicyAndEveryAddressOfEveryPool) {
  write(path_, test::kSmallPolicy);
  PolicyFileFeed feed{path_, handlers()};
  ASSERT_TRUE(feed.start());
  EXPECT_EQ(version_, (Version{0, 1}));
  ASSERT_EQ(allocation_.addresses.size(), 16U);
  EXPECT_EQ(allocation_.addresses[15].address, (Ipv4Address{203, 0, 113, 15}));
  EXPECT_EQ(allocation_.addresses[15].pool, "public");
  EXPECT_TRUE(feed.status().connected);
}

TEST_F(PolicyFileFeedTest, AFirstFileThatIsWrongOrMissingSaysWhy) {
  PolicyFileFeed missing{path_, handlers()};
  const auto unread = missing.start();
  ASSERT_FALSE(unread);
  EXPECT_THAT(unread.error()[0].message, HasSubstr("cannot read"));
  write(path_, "translation_prefixes: [{name: a, prefix: '2001:db8::/72'}]\n");
  PolicyFileFeed wrong{path_, handlers()};
  const auto refused = wrong.start();
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error()[0].path, HasSubstr("translation_prefixes[0]"));
}

TEST_F(PolicyFileFeedTest, AFileWrittenInPlaceIsLoadedAgain) {
  write(path_, test::kSmallPolicy);
  PolicyFileFeed feed{path_, handlers()};
  ASSERT_TRUE(feed.start());
  write(path_, with_exclusion("192.0.2.0/24"));
  ASSERT_TRUE(wait_for_version(2));
  EXPECT_EQ(policy_->exclusions.ipv4_destinations.size(), 1U);
}

TEST_F(PolicyFileFeedTest, AFileRenamedIntoPlaceIsLoadedAgain) {
  write(path_, test::kSmallPolicy);
  PolicyFileFeed feed{path_, handlers()};
  ASSERT_TRUE(feed.start());
  write(directory_ / "next", with_exclusion("192.0.2.0/24"));
  fs::rename(directory_ / "next", path_);
  EXPECT_TRUE(wait_for_version(2));
}

TEST_F(PolicyFileFeedTest, AConfigMapsSwappedLinkIsLoadedAgain) {
  fs::create_directory(directory_ / "..v1");
  fs::create_directory(directory_ / "..v2");
  write(directory_ / "..v1/policy.yaml", test::kSmallPolicy);
  write(directory_ / "..v2/policy.yaml", with_exclusion("192.0.2.0/24"));
  fs::create_symlink("..v1", directory_ / "..data");
  fs::create_symlink("..data/policy.yaml", path_);
  PolicyFileFeed feed{path_, handlers()};
  ASSERT_TRUE(feed.start());
  fs::create_symlink("..v2", directory_ / "..data_tmp");
  fs::rename(directory_ / "..data_tmp", directory_ / "..data");
  EXPECT_TRUE(wait_for_version(2));
}

TEST_F(PolicyFileFeedTest, WhatTheNodeCouldNotRunIsTriedAgain) {
  write(path_, test::kSmallPolicy);
  PolicyFileFeed feed{path_.string(), handlers()};
  ASSERT_TRUE(feed.start());
  {
    const std::lock_guard lock{mutex_};
    cannot_ = 1;
  }
  write(path_, with_exclusion("192.0.2.0/24"));
  {
    std::unique_lock lock{mutex_};
    ASSERT_TRUE(changed_.wait_for(lock, std::chrono::seconds{20}, [&] { return cannot_ == 0; }));
  }
  write(directory_ / "another file", "makes the feed look");
  ASSERT_TRUE(wait_for_version(3));
  const std::lock_guard lock{mutex_};
  EXPECT_EQ(policy_->exclusions.ipv4_destinations.size(), 1U);
}

TEST_F(PolicyFileFeedTest, ARefusedChangeLeavesWhatRanAndIsToldInTheStatus) {
  write(path_, test::kSmallPolicy);
  PolicyFileFeed feed{path_, handlers()};
  ASSERT_TRUE(feed.start());
  write(directory_ / "bad", "translation_prefixs: []\n");
  fs::rename(directory_ / "bad", path_);
  const auto deadline = boot_now() + std::chrono::seconds{20};
  while (feed.status().rejected_total == 0 && boot_now() < deadline) std::this_thread::yield();
  EXPECT_EQ(feed.status().rejected_total, 1U);
  EXPECT_THAT(feed.status().last_error, HasSubstr("translation_prefixs"));
  EXPECT_EQ(feed.status().policy_version, (Version{0, 1}));
  write(directory_ / "good", with_exclusion("192.0.2.0/24"));
  fs::rename(directory_ / "good", path_);
  ASSERT_TRUE(wait_for_version(2));
  feed.stop();
  EXPECT_EQ(feed.status().last_error, "");
}

TEST_F(PolicyFileFeedTest, StopsAtOnceAndTwice) {
  write(path_, test::kSmallPolicy);
  PolicyFileFeed feed{path_, handlers()};
  ASSERT_TRUE(feed.start());
  feed.stop();
  feed.stop();
  EXPECT_TRUE(feed.status().connected);
}

}  // namespace
}  // namespace isthmus
