// SPDX-License-Identifier: Apache-2.0
#include "controller/store/backup.hpp"

#include <gtest/gtest.h>

#include <filesystem>

#include "controller/store/memory_store.hpp"
#include "controller/store/schema.hpp"
#include "controller/store/sqlite_store.hpp"
#include "tests/support/scratch_dir.hpp"

namespace isthmus::controller {
namespace {

const WallTime kNow{std::chrono::milliseconds{1'700'000'000'000}};

class BackupTest : public testing::Test {
 protected:
  BackupTest() {
    EXPECT_TRUE(open_schema(store));
    v1::StoreMeta meta;
    meta.set_schema(kSchemaVersion);
    meta.set_epoch(70);
    put(store, std::string{kMetaKey}, meta.SerializeAsString());
    for (int i = 0; i < 250; ++i) put(store, "leases/" + std::to_string(i), std::string(9000, 'l'));
    put(store, "history/203.0.113.1/1", "h");
  }
  static void put(Store& to, const std::string& key, const std::string& value) {
    EXPECT_TRUE(to.commit({.compares = {}, .puts = {{key, value}}, .deletes = {}}));
  }
  [[nodiscard]] std::string file() const { return dir.path() + "/backup.db"; }

  test::ScratchDir dir;
  MemoryStore store;
};

TEST_F(BackupTest, ABackupPutIntoAnEmptyStoreIsAllThatWasThereAndMarked) {
  EXPECT_EQ(252U, back_up(store, file()).value().entries);
  auto other = SqliteStore::open(dir.path() + "/other.db").value();
  EXPECT_EQ(252U, restore(file(), *other, false, kNow).value().entries);
  const auto before = store.list("leases/").value();
  const auto after = other->list("leases/").value();
  ASSERT_EQ(before.entries.size(), after.entries.size());
  for (const auto& [key, stored] : before.entries) EXPECT_EQ(stored.value, after.entries.at(key).value);
  const auto meta = open_schema(*other).value();
  EXPECT_TRUE(meta.settling());
  EXPECT_EQ(70U, meta.epoch());
  EXPECT_EQ(kNow.time_since_epoch().count(), meta.restored_ms());
}

TEST_F(BackupTest, AStoreInUseIsNotOverwrittenUnlessOneSaysSo) {
  ASSERT_TRUE(back_up(store, file()));
  MemoryStore other;
  put(other, "leases/new", "n");
  const auto refused = restore(file(), other, false, kNow);
  ASSERT_FALSE(refused);
  EXPECT_NE(std::string::npos, refused.error().message.find("--replace"));
  ASSERT_TRUE(restore(file(), other, true, kNow));
  EXPECT_FALSE(other.get("leases/new").value());
}

TEST_F(BackupTest, TheEpochAndTheHistoryOfTheStoreThatIsReplacedAreKept) {
  ASSERT_TRUE(back_up(store, file()));
  v1::StoreMeta meta;
  meta.set_schema(kSchemaVersion);
  meta.set_epoch(90);
  put(store, std::string{kMetaKey}, meta.SerializeAsString());
  put(store, "history/203.0.113.1/2", "h");
  ASSERT_TRUE(restore(file(), store, true, kNow));
  EXPECT_EQ(90U, open_schema(store).value().epoch());
  EXPECT_EQ(2U, store.list(kHistoryPrefix).value().entries.size());
}

TEST_F(BackupTest, ARestoreThatWasInterruptedMustBeRepeated) {
  ASSERT_TRUE(back_up(store, file()));
  put(store, std::string{kRestoringKey}, file());
  const auto refused = open_schema(store);
  ASSERT_FALSE(refused);
  EXPECT_NE(std::string::npos, refused.error().message.find("run it again"));
  ASSERT_TRUE(restore(file(), store, false, kNow));
  EXPECT_TRUE(open_schema(store));
}

TEST_F(BackupTest, AFileThatExistsIsNotOverwritten) {
  ASSERT_TRUE(back_up(store, file()));
  EXPECT_FALSE(back_up(store, file()));
}

TEST_F(BackupTest, AnEmptyStoreIsNoBackup) {
  MemoryStore empty;
  EXPECT_FALSE(back_up(empty, file()));
  EXPECT_FALSE(std::filesystem::exists(file()));
}

TEST_F(BackupTest, ABackupOfANewerSchemaIsRefused) {
  v1::StoreMeta meta;
  meta.set_schema(kSchemaVersion + 1);
  put(store, std::string{kMetaKey}, meta.SerializeAsString());
  ASSERT_TRUE(back_up(store, file()));
  MemoryStore other;
  EXPECT_FALSE(restore(file(), other, false, kNow));
  EXPECT_TRUE(other.list("").value().entries.empty());
}

}  // namespace
}  // namespace isthmus::controller
