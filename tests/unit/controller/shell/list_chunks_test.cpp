// SPDX-License-Identifier: Apache-2.0
#include "controller/shell/list_chunks.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace isthmus::controller {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

class ListChunksTest : public testing::Test {
 protected:
  std::string put(const std::string& data, TimePoint now = {}) {
    auto hash = content_hash(data);
    EXPECT_TRUE(chunks_.put(hash, data, now));
    return hash;
  }
  ListChunks chunks_;
};

TEST_F(ListChunksTest, WhatIsNotItsHashOrTooLargeIsRefused) {
  EXPECT_FALSE(chunks_.put(content_hash("a"), "b", {}));
  const std::string large(kMaxChunkBytes + 1, 'x');
  EXPECT_FALSE(chunks_.put(content_hash(large), large, {}));
  EXPECT_EQ(chunks_.bytes(), 0U);
}

TEST_F(ListChunksTest, WhatNoPolicyNamesGoesAfterAnHour) {
  const auto named = put("named");
  const auto lost = put("lost");
  EXPECT_THAT(chunks_.prune({named}, TimePoint{std::chrono::minutes{59}}), IsEmpty());
  EXPECT_THAT(chunks_.prune({named}, TimePoint{std::chrono::minutes{61}}), ElementsAre(lost));
  EXPECT_EQ(chunks_.find(lost), nullptr);
  EXPECT_EQ(chunks_.bytes(), 5U);
}

TEST_F(ListChunksTest, WhatIsAskedForStaysAnotherHour) {
  const auto asked = put("asked");
  EXPECT_TRUE(chunks_.touch(asked, TimePoint{std::chrono::minutes{59}}));
  EXPECT_FALSE(chunks_.touch(content_hash("none"), {}));
  EXPECT_THAT(chunks_.prune({}, TimePoint{std::chrono::minutes{61}}), IsEmpty());
  EXPECT_THAT(chunks_.prune({}, TimePoint{std::chrono::minutes{119}}), ElementsAre(asked));
}

TEST_F(ListChunksTest, ItIsTimeToPruneTwelveTimesAnHourWhileThereIsSomething) {
  TimePoint now{std::chrono::hours{1}};
  EXPECT_FALSE(chunks_.prune_due(now));
  put("a", now);
  EXPECT_TRUE(chunks_.prune_due(now));
  EXPECT_FALSE(chunks_.prune_due(now + std::chrono::minutes{4}));
  EXPECT_TRUE(chunks_.prune_due(now + std::chrono::minutes{5}));
}

TEST_F(ListChunksTest, OldVersionsKeepTheirListsAsFarAsTheyFit) {
  const auto newest = put("0123456789");
  const auto shared = put("shared");
  const auto old = put("old");
  const auto oldest = put("oldest");
  const std::vector<std::vector<std::string>> versions{{newest, shared}, {shared, old}, {oldest}};
  EXPECT_THAT(chunks_.within(19, versions), UnorderedElementsAre(newest, shared, old));
  EXPECT_THAT(chunks_.within(25, versions), UnorderedElementsAre(newest, shared, old, oldest));
  EXPECT_THAT(chunks_.within(1, versions), UnorderedElementsAre(newest, shared)) << "the newest in any case";
}

}  // namespace
}  // namespace isthmus::controller
