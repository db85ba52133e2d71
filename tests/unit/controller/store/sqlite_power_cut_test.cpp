// SPDX-License-Identifier: Apache-2.0
// The power is cut at every write and every sync of a history of commits, each in turn. What was committed
// must be there afterwards, and nothing by halves.
#include <gtest/gtest.h>

#include <algorithm>

#include "controller/store/sqlite_store.hpp"
#include "tests/support/power_cut_vfs.hpp"
#include "tests/support/scratch_dir.hpp"

namespace isthmus::controller {
namespace {

constexpr int kCommits = 12;

struct Verdict {
  bool ended = false;  // the history was over before the cut
  int acknowledged = 0;
  int found = 0;  // commits that are there afterwards
  bool halves = false;
};

// Commit n sets three keys to n and makes one of its own; every third deletes the previous one's.
Write nth(int n) {
  const auto text = std::to_string(n);
  Write write{.compares = {},
              .puts = {{"x", text}, {"y", text + std::string(3000, '.')}, {"z", text}, {"n/" + text, text}},
              .deletes = {}};
  if (n % 3 == 0) write.deletes.push_back("n/" + std::to_string(n - 1));
  return write;
}

bool is_state_after(const Snapshot& all, int n) {
  std::map<std::string, std::string> expected;
  for (int i = 1; i <= n; ++i) {
    for (const auto& [key, value] : nth(i).puts) expected[key] = value;
    for (const auto& key : nth(i).deletes) expected.erase(key);
  }
  if (expected.size() != all.entries.size()) return false;
  return std::ranges::all_of(expected, [&](const auto& entry) {
    const auto it = all.entries.find(entry.first);
    return it != all.entries.end() && it->second.value == entry.second;
  });
}

Verdict play(std::uint64_t cut, std::uint64_t seed, bool lying = false) {
  const test::ScratchDir dir;
  const auto path = dir.path() + "/store.db";
  test::PowerCutDisk disk;
  Verdict verdict;
  {
    auto created = SqliteStore::open(path, {.vfs = disk.vfs()});  // the file is there before it begins
    EXPECT_TRUE(created);
    disk.sync_directory();  // as open() does
  }
  if (lying) disk.ignore_syncs();
  disk.cut_at(cut);
  if (auto store = SqliteStore::open(path, {.vfs = disk.vfs()})) {
    disk.sync_directory();
    for (int n = 1; n <= kCommits && (*store)->commit(nth(n)); ++n) verdict.acknowledged = n;
  }
  verdict.ended = !disk.is_cut();
  disk.come_back(seed);
  auto store = SqliteStore::open(path);
  if (!store) {
    verdict.halves = true;
    return verdict;
  }
  const auto all = (*store)->list("").value();
  verdict.found = static_cast<int>(all.revision);
  verdict.halves = !is_state_after(all, verdict.found);
  return verdict;
}

TEST(SqlitePowerCut, LosesNoCommitAndLeavesNoneByHalves) {
  std::uint64_t cuts = 0;
  for (std::uint64_t cut = 0;; ++cut) {
    bool ended = false;
    for (const std::uint64_t seed : {std::uint64_t{0}, cut + 1, cut + 1000}) {
      const auto verdict = play(cut, seed);
      ASSERT_FALSE(verdict.halves) << "cut " << cut << ", seed " << seed;
      ASSERT_GE(verdict.found, verdict.acknowledged) << "cut " << cut << ", seed " << seed;
      ASSERT_LE(verdict.found, verdict.acknowledged + 1) << "cut " << cut << ", seed " << seed;
      ended = verdict.ended;
    }
    if (ended) break;
    ++cuts;
  }
  EXPECT_GT(cuts, 40U) << "the disk saw hardly any writes";
}

TEST(SqlitePowerCut, TheTestSeesALossWhenTheDiskLiesAboutSyncs) {
  int lost = 0;
  for (std::uint64_t cut = 20; cut < 60; cut += 10) {
    const auto verdict = play(cut, 0, true);
    lost += verdict.halves || verdict.found < verdict.acknowledged ? 1 : 0;
  }
  EXPECT_GT(lost, 0);
}

}  // namespace
}  // namespace isthmus::controller
