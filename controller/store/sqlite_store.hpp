// SPDX-License-Identifier: Apache-2.0
// The store of one controller: one SQLite file, write-ahead log, `synchronous=FULL`: a commit that returned
// survives a power cut. https://www.sqlite.org/wal.html,
// https://www.sqlite.org/pragma.html#pragma_synchronous
//
// A second controller on the same file is refused: a lock on PATH.lock is held while this object lives.
// Network file systems are refused: their locks and syncs do not keep what they promise.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "common/base/unique_fd.hpp"
#include "controller/store/store.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace isthmus::controller {

struct SqliteOptions {
  bool read_only = false;     // beside a controller that runs: for backups; takes no lock
  const char* vfs = nullptr;  // for tests; none: the system's
};

class SqliteStore final : public Store {
 public:
  // Creates the file when it is not there, unless read_only; its directory must exist.
  [[nodiscard]] static Result<std::unique_ptr<SqliteStore>, StoreError> open(const std::string& path,
                                                                             SqliteOptions options = {});
  ~SqliteStore() override;

  [[nodiscard]] Result<std::optional<StoredValue>, StoreError> get(std::string_view key) override;
  [[nodiscard]] Result<Snapshot, StoreError> list(std::string_view prefix) override;
  [[nodiscard]] Result<Revision, StoreError> commit(const Write& write) override;

 private:
  class Statement;
  SqliteStore() = default;
  [[nodiscard]] Result<void, StoreError> prepare_file(const SqliteOptions& options);
  [[nodiscard]] Result<void, StoreError> run(const char* sql);
  [[nodiscard]] StoreError error(const std::string& doing) const;
  [[nodiscard]] Result<Revision, StoreError> read_revision();
  [[nodiscard]] Result<std::optional<StoredValue>, StoreError> find(std::string_view key);
  [[nodiscard]] Result<Snapshot, StoreError> read_all(std::string_view prefix);
  [[nodiscard]] Result<Revision, StoreError> apply(const Write& write);

  std::string path_;
  UniqueFd lock_file_;
  std::mutex lock_;
  sqlite3* db_ = nullptr;
};

// statfs(2)'s f_type: the name of a file system on which a database must not lie, or empty.
[[nodiscard]] std::string_view refused_file_system(std::uint64_t type);

}  // namespace isthmus::controller
