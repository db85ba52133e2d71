// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/shell/watched_files.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace isthmus::dns64 {
namespace {

namespace fs = std::filesystem;

class WatchedFilesTest : public testing::Test {
 protected:
  WatchedFilesTest() {
    fs::remove_all(dir_);
    fs::create_directories(dir_);
  }
  ~WatchedFilesTest() override { fs::remove_all(dir_); }
  void write(const std::string& name, const std::string& text) const { std::ofstream{dir_ / name} << text; }
  fs::path dir_ = fs::temp_directory_path() / ("isthmus-watched-" + std::to_string(getpid()));
};

TEST_F(WatchedFilesTest, AReplacedFileIsSeenOnce) {
  write("a", "1");
  write("b", "1");
  WatchedFiles files{{dir_ / "a", dir_ / "b"}};
  EXPECT_FALSE(files.changed());
  write("new", "22");
  fs::rename(dir_ / "new", dir_ / "b");
  EXPECT_TRUE(files.changed());
  EXPECT_FALSE(files.changed());
}

TEST_F(WatchedFilesTest, ALinkThatLeadsElsewhereIsAChange) {
  for (const char* version : {"v1", "v2"}) {
    fs::create_directories(dir_ / version);
    write(std::string{version} + "/key", "x");
  }
  fs::create_directory_symlink("v1", dir_ / "data");
  WatchedFiles files{{dir_ / "data" / "key"}};
  fs::create_directory_symlink("v2", dir_ / "data.new");
  fs::rename(dir_ / "data.new", dir_ / "data");
  EXPECT_TRUE(files.changed());
}

TEST_F(WatchedFilesTest, AFileThatIsNotThereMayCome) {
  WatchedFiles files{{dir_ / "a"}};
  EXPECT_FALSE(files.changed());
  write("a", "1");
  EXPECT_TRUE(files.changed());
}

TEST_F(WatchedFilesTest, AFileThatMayBeReadAtLastIsAChange) {
  write("a", "1");
  WatchedFiles files{{dir_ / "a"}};
  fs::permissions(dir_ / "a", fs::perms::owner_read);
  EXPECT_TRUE(files.changed());
  EXPECT_FALSE(files.changed());
}

}  // namespace
}  // namespace isthmus::dns64
