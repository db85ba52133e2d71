// SPDX-License-Identifier: Apache-2.0
// A disk for SQLite whose power can be cut: what was written and not synced is lost, whole or in part. SQLite
// works on real files in a scratch directory through this VFS; it remembers the contents of each file at its
// last sync. https://www.sqlite.org/vfs.html
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <map>
#include <set>
#include <string>

namespace isthmus::test {

class PowerCutDisk {
 public:
  PowerCutDisk();
  ~PowerCutDisk();
  PowerCutDisk(const PowerCutDisk&) = delete;
  PowerCutDisk& operator=(const PowerCutDisk&) = delete;

  [[nodiscard]] const char* vfs() const { return kName; }

  // The power goes just before the n-th write, truncation, deletion or sync from now; from then on all fails.
  void cut_at(std::uint64_t operation) { operations_left_ = operation; }
  [[nodiscard]] bool is_cut() const { return cut_; }
  void ignore_syncs() { ignore_syncs_ = true; }  // a disk that lies

  // The directory was synced, by other means than SQLite: what was deleted stays deleted.
  void sync_directory();

  // When the database is closed: files become what a disk may hold after the cut. `seed` 0: what was synced
  // and nothing else; otherwise some of the sectors written since, drawn at random.
  void come_back(std::uint64_t seed);

  // For the VFS. False: there is no power.
  [[nodiscard]] bool alive();
  void synced(const std::string& path);
  void removed(const std::string& path, bool directory_synced);

 private:
  static constexpr const char* kName = "isthmus-power-cut";
  sqlite3_vfs vfs_{};
  std::map<std::string, std::string> durable_;
  std::set<std::string> deleted_;  // and the directory was not synced since: a cut may bring them back
  std::uint64_t operations_left_ = ~std::uint64_t{0};
  bool cut_ = false;
  bool ignore_syncs_ = false;
};

}  // namespace isthmus::test
