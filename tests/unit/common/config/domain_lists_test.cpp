// SPDX-License-Identifier: Apache-2.0
#include "common/config/domain_lists.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

namespace isthmus {
namespace {

using testing::HasSubstr;

std::string names(int first, int last) {
  std::string text;
  for (int i = first; i < last; ++i) text += "host" + std::to_string(i) + ".example\n";
  return text;
}

std::string joined(const std::vector<ListChunk>& chunks) {
  std::string all;
  for (const auto& chunk : chunks) all += *chunk.data;
  return all;
}

TEST(ContentHash, IsSha256) {
  EXPECT_EQ(content_hash("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_TRUE(is_content_hash(content_hash("")));
  EXPECT_FALSE(is_content_hash("../../etc/passwd"));
}

TEST(CutList, CommentsBlanksCaseAndFinalDotsDoNotMatter) {
  const auto chunks = cut_list("# ads\nAds.Example\n\n  b.example.  # why\r\n", "list");
  ASSERT_TRUE(chunks);
  EXPECT_EQ(joined(*chunks), "ads.example.\nb.example.\n");
  EXPECT_EQ(chunks->front().hash, content_hash(*chunks->front().data));
}

TEST(CutList, AnEmptyListHasOneChunk) {
  const auto chunks = cut_list("# nothing yet\n", "list");
  ASSERT_TRUE(chunks);
  ASSERT_EQ(chunks->size(), 1U);
  EXPECT_EQ(*chunks->front().data, "");
}

TEST(CutList, ViolationsNameTheLineAndAreFew) {
  std::string text = "good.example\nbad..example\n";
  for (int i = 0; i < 1000; ++i) text += "sp ace\n";
  const auto chunks = cut_list(text, "exclusions.never_synthesize_lists[0]: ads.txt");
  ASSERT_FALSE(chunks);
  EXPECT_EQ(chunks.error().front().path, "exclusions.never_synthesize_lists[0]: ads.txt line 2");
  EXPECT_THAT(chunks.error().front().message, HasSubstr("empty label"));
  EXPECT_EQ(chunks.error().size(), 20U);
}

TEST(CutList, EveryChunkFitsAndNothingIsLost) {
  const auto text = names(0, 200000);
  const auto chunks = cut_list(text, "list");
  ASSERT_TRUE(chunks);
  EXPECT_GT(chunks->size(), 8U);
  EXPECT_LT(chunks->size(), 64U);
  for (const auto& chunk : *chunks) EXPECT_LE(chunk.data->size(), kMaxChunkBytes);
  EXPECT_EQ(std::ranges::count(joined(*chunks), '\n'), 200000);
}

TEST(CutList, ALineMoreChangesFewChunks) {
  const auto before = cut_list(names(0, 200000), "list").value();
  const auto after = cut_list(names(0, 100000) + "new.example\n" + names(100000, 200000), "list").value();
  std::set<std::string> known;
  for (const auto& chunk : before) known.insert(chunk.hash);
  const auto fresh = std::ranges::count_if(after, [&](const auto& c) { return !known.contains(c.hash); });
  EXPECT_GE(fresh, 1);
  EXPECT_LE(fresh, 2);
}

TEST(AttachLists, GivesEachListItsContentOrSaysWhatIsMissing) {
  const auto chunks = cut_list("a.example\n", "list").value();
  Policy policy;
  policy.exclusions.never_synthesize_lists = {{"ads.txt", {chunks[0].hash}, {}}};
  ASSERT_TRUE(attach_lists(policy, [&](const auto&) { return chunks[0].data; }));
  EXPECT_EQ(*policy.exclusions.never_synthesize_lists[0].data.at(0), "a.example.\n");
  const auto missing = attach_lists(policy, [](const auto&) { return ListData{}; });
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().front().path, "exclusions.never_synthesize_lists[0]");
  EXPECT_THAT(missing.error().front().message, HasSubstr(chunks[0].hash));
  policy.exclusions.never_synthesize_lists[0].chunks.clear();
  const auto unread = attach_lists(policy, [&](const auto&) { return chunks[0].data; });
  ASSERT_FALSE(unread);
  EXPECT_THAT(unread.error().front().message, HasSubstr("was not read"));
}

}  // namespace
}  // namespace isthmus
