// SPDX-License-Identifier: Apache-2.0
#include "controller/store/sqlite_store.hpp"

#include <gtest/gtest.h>
#include <linux/magic.h>
#include <sqlite3.h>

#include <fstream>

#include "controller/store/schema.hpp"
#include "tests/support/scratch_dir.hpp"

namespace isthmus::controller {
namespace {

class SqliteStoreTest : public testing::Test {
 protected:
  [[nodiscard]] std::string path() const { return dir.path() + "/store.db"; }
  [[nodiscard]] std::string refusal() const {
    const auto store = SqliteStore::open(path());
    if (store) return "it opens";
    EXPECT_EQ(StoreFailure::kUnusable, store.error().kind);
    return store.error().message;
  }
  void execute(const char* sql) const {
    sqlite3* db = nullptr;
    ASSERT_EQ(SQLITE_OK, sqlite3_open(path().c_str(), &db));
    EXPECT_EQ(SQLITE_OK, sqlite3_exec(db, sql, nullptr, nullptr, nullptr)) << sqlite3_errmsg(db);
    sqlite3_close(db);
  }
  test::ScratchDir dir;
};

bool says(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_F(SqliteStoreTest, WhatWasCommittedIsThereWhenItIsOpenedAgain) {
  Revision revision = 0;
  {
    auto store = SqliteStore::open(path()).value();
    revision = store->commit({.compares = {}, .puts = {{"a", "1"}, {"b", "2"}}, .deletes = {}}).value();
  }
  auto store = SqliteStore::open(path()).value();
  EXPECT_EQ("2", store->get("b").value()->value);
  EXPECT_EQ(revision, store->list("").value().revision);
}

TEST_F(SqliteStoreTest, ASecondControllerOnTheSameFileIsRefused) {
  auto store = SqliteStore::open(path()).value();
  EXPECT_TRUE(says(refusal(), "in use by another controller"));
  store.reset();
  EXPECT_EQ("it opens", refusal());
}

TEST_F(SqliteStoreTest, ABackupReadsBesideAControllerThatRuns) {
  auto store = SqliteStore::open(path()).value();
  ASSERT_TRUE(store->commit({.compares = {}, .puts = {{"a", "1"}}, .deletes = {}}));
  auto reader = SqliteStore::open(path(), {.read_only = true}).value();
  EXPECT_EQ(1U, reader->list("").value().entries.size());
  EXPECT_FALSE(reader->commit({.compares = {}, .puts = {{"a", "2"}}, .deletes = {}}));
  EXPECT_TRUE(store->commit({.compares = {}, .puts = {{"a", "3"}}, .deletes = {}}));
}

TEST_F(SqliteStoreTest, AMissingDirectoryIsNamed) {
  const auto store = SqliteStore::open("/nonexistent/isthmus/store.db");
  ASSERT_FALSE(store);
  EXPECT_TRUE(says(store.error().message, "/nonexistent/isthmus"));
}

TEST_F(SqliteStoreTest, AFileThatIsNoStoreIsRefusedAndLeftAsItIs) {
  const std::string text =
      "This is not a database. It is longer than a header of one, which has a hundred bytes.....";
  std::ofstream{path()} << text << text;
  EXPECT_NE("it opens", refusal());
  std::string left;
  std::getline(std::ifstream{path()}, left);
  EXPECT_EQ(text + text, left);
}

TEST_F(SqliteStoreTest, TheDatabaseOfAnotherProgramIsRefused) {
  execute("CREATE TABLE bookmarks(url TEXT)");
  EXPECT_TRUE(says(refusal(), "not a store of Isthmus"));
}

TEST_F(SqliteStoreTest, ALayoutOfANewerVersionIsRefused) {
  ASSERT_TRUE(SqliteStore::open(path()));
  execute("PRAGMA user_version=2");
  EXPECT_TRUE(says(refusal(), "newer version"));
}

TEST_F(SqliteStoreTest, AMissingFileIsNoBackup) {
  EXPECT_FALSE(SqliteStore::open(path(), {.read_only = true}));
  EXPECT_FALSE(std::ifstream{path()}.is_open());
}

TEST_F(SqliteStoreTest, ASchemaOfANewerVersionIsRefused) {
  auto store = SqliteStore::open(path()).value();
  EXPECT_TRUE(open_schema(*store).value().settling());
  EXPECT_EQ(kSchemaVersion, open_schema(*store).value().schema());
  v1::StoreMeta meta;
  meta.set_schema(kSchemaVersion + 1);
  ASSERT_TRUE(store->commit(
      {.compares = {}, .puts = {{std::string(kMetaKey), meta.SerializeAsString()}}, .deletes = {}}));
  const auto refused = open_schema(*store);
  ASSERT_FALSE(refused);
  EXPECT_EQ(StoreFailure::kUnusable, refused.error().kind);
  EXPECT_TRUE(says(refused.error().message, "newer controller"));
}

TEST(SqlitePlace, NetworkFileSystemsAreRefusedLocalOnesAreNot) {
  EXPECT_EQ("NFS", refused_file_system(NFS_SUPER_MAGIC));
  EXPECT_EQ("SMB2", refused_file_system(SMB2_SUPER_MAGIC));
  EXPECT_EQ("CIFS", refused_file_system(CIFS_SUPER_MAGIC));
  EXPECT_EQ("9P", refused_file_system(V9FS_MAGIC));
  EXPECT_EQ("FUSE", refused_file_system(FUSE_SUPER_MAGIC));
  for (const auto local :
       {EXT4_SUPER_MAGIC, static_cast<int>(XFS_SUPER_MAGIC), TMPFS_MAGIC, OVERLAYFS_SUPER_MAGIC})
    EXPECT_EQ("", refused_file_system(static_cast<std::uint64_t>(local)));
}

}  // namespace
}  // namespace isthmus::controller
