// SPDX-License-Identifier: Apache-2.0
#include "controller/store/sqlite_store.hpp"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/file.h>
#include <sys/statfs.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

namespace isthmus::controller {
namespace {

constexpr int kApplicationId =
    0x4953544d;             // "ISTM": https://www.sqlite.org/pragma.html#pragma_application_id
constexpr int kLayout = 1;  // of the tables; what the values say has a version of its own
constexpr const char* kTables = R"sql(
  CREATE TABLE entries(key TEXT PRIMARY KEY NOT NULL, value BLOB NOT NULL, modified INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE revision(id INTEGER PRIMARY KEY CHECK(id = 0), value INTEGER NOT NULL);
  INSERT INTO revision VALUES(0, 0);
)sql";

StoreFailure kind_of(int code) {
  switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_MISMATCH:
    case SQLITE_SCHEMA:
    case SQLITE_ERROR:
      return StoreFailure::kUnusable;
    default:  // full, locked, I/O error, no memory, permissions: an operator can mend these
      return StoreFailure::kUnavailable;
  }
}

auto unusable(std::string message) {
  return failure(StoreError{StoreFailure::kUnusable, std::move(message)});
}

std::string directory_of(const std::string& path) {
  const auto directory = std::filesystem::path{path}.parent_path().string();
  return directory.empty() ? "." : directory;
}

Result<void, StoreError> check_place(const std::string& path) {
  struct statfs where{};
  const auto directory = directory_of(path);
  if (::statfs(directory.c_str(), &where) != 0) {
    return unusable("the directory " + directory + " of the store cannot be used (" + std::strerror(errno) +
                    "): create it and let the controller's user write there");
  }
  const auto name = refused_file_system(static_cast<std::uint64_t>(where.f_type));
  if (!name.empty()) {
    return unusable(directory + " lies on " + std::string(name) +
                    ", which does not keep what its syncs and locks promise: put the store on a local disk, "
                    "or use etcd");
  }
  return {};
}

Result<UniqueFd, StoreError> lock_out_others(const std::string& path) {
  UniqueFd file{::open((path + ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)};
  if (!file.valid()) return unusable(path + ".lock cannot be opened: " + std::strerror(errno));
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    return unusable(path + " is in use by another controller: one store, one controller; several share etcd");
  }
  return file;
}

void sync_directory(const std::string& path) {
  const UniqueFd directory{::open(directory_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (directory.valid()) (void)::fsync(directory.get());  // some file systems have nothing to sync there
}

}  // namespace

std::string_view refused_file_system(std::uint64_t type) {
  // statfs(2) and linux/magic.h
  static constexpr std::array<std::pair<std::uint64_t, std::string_view>, 12> kRefused{{
      {0x6969, "NFS"},
      {0x517b, "SMB"},
      {0xff534d42, "CIFS"},
      {0xfe534d42, "SMB2"},
      {0x65735546, "FUSE"},
      {0x01021997, "9P"},
      {0x5346414f, "AFS"},
      {0x73757245, "Coda"},
      {0x00c36400, "Ceph"},
      {0x0bd00bd0, "Lustre"},
      {0x01161970, "GFS2"},
      {0x7461636f, "OCFS2"},
  }};
  const auto* it = std::ranges::find(kRefused, type, [](const auto& entry) { return entry.first; });
  return it == kRefused.end() ? std::string_view{} : it->second;
}

// A prepared statement, finalized when it goes out of scope.
class SqliteStore::Statement {
 public:
  Statement(sqlite3* db, const char* sql) { sqlite3_prepare_v2(db, sql, -1, &statement_, nullptr); }
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  // The texts must live until the statement is done.
  Statement& text(int at, std::string_view value) {
    sqlite3_bind_text64(statement_, at, value.data(), value.size(), SQLITE_STATIC, SQLITE_UTF8);
    return *this;
  }
  Statement& blob(int at, std::string_view value) {
    sqlite3_bind_blob64(statement_, at, value.data(), value.size(), SQLITE_STATIC);
    return *this;
  }
  Statement& number(int at, Revision value) {
    sqlite3_bind_int64(statement_, at, static_cast<sqlite3_int64>(value));
    return *this;
  }
  [[nodiscard]] int step() { return statement_ == nullptr ? SQLITE_MISUSE : sqlite3_step(statement_); }
  [[nodiscard]] std::string bytes(int column) {
    const void* data = sqlite3_column_blob(statement_, column);
    const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_, column));
    return data == nullptr ? std::string{} : std::string{static_cast<const char*>(data), size};
  }
  [[nodiscard]] Revision number(int column) {
    return static_cast<Revision>(sqlite3_column_int64(statement_, column));
  }

 private:
  sqlite3_stmt* statement_ = nullptr;
};

Result<std::unique_ptr<SqliteStore>, StoreError> SqliteStore::open(const std::string& path,
                                                                   SqliteOptions options) {
  std::unique_ptr<SqliteStore> store{new SqliteStore};
  store->path_ = path;
  if (auto good = check_place(path); !good) return failure(good.error());
  if (!options.read_only) {
    auto locked = lock_out_others(path);
    if (!locked) return failure(locked.error());
    store->lock_file_ = std::move(*locked);
  }
  const int flags = options.read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  if (sqlite3_open_v2(path.c_str(), &store->db_, flags | SQLITE_OPEN_NOMUTEX, options.vfs) != SQLITE_OK) {
    return failure(store->error("opening"));
  }
  sqlite3_busy_timeout(store->db_, 5000);  // a backup may read at this moment
  if (auto prepared = store->prepare_file(options); !prepared) return failure(prepared.error());
  if (!options.read_only) sync_directory(path);
  return store;
}

SqliteStore::~SqliteStore() {
  sqlite3_close(db_);
}

StoreError SqliteStore::error(const std::string& doing) const {
  const int code = db_ == nullptr ? SQLITE_NOMEM : sqlite3_extended_errcode(db_);
  return {kind_of(code), doing + " the store " + path_ +
                             " failed: " + (db_ == nullptr ? "no memory" : sqlite3_errmsg(db_)) +
                             ": check the disk, its free space and the permissions"};
}

Result<void, StoreError> SqliteStore::run(const char* sql) {
  if (sqlite3_exec(db_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) return failure(error("writing"));
  return {};
}

Result<void, StoreError> SqliteStore::prepare_file(const SqliteOptions& options) {
  const auto pragma = [this](const char* sql) {
    Statement statement{db_, sql};
    return statement.step() == SQLITE_ROW ? std::optional{static_cast<int>(statement.number(0))}
                                          : std::nullopt;
  };
  const auto pages = pragma("PRAGMA page_count");
  const auto application = pragma("PRAGMA application_id");
  const auto layout = pragma("PRAGMA user_version");
  if (!pages || !application || !layout) return failure(error("reading"));
  if (*application != kApplicationId && (*pages > 0 || options.read_only)) {
    return unusable(path_ + " is not a store of Isthmus: give --store another path");
  }
  if (*layout > kLayout) {
    return unusable(path_ + " was written by a newer version of the controller (layout " +
                    std::to_string(*layout) + ", known here: " + std::to_string(kLayout) +
                    "): run that version, or restore a backup made by this one");
  }
  if (options.read_only) return {};
  // The default mode of new files must be WAL before the first table is made, so that its creation is atomic
  // too.
  if (auto done = run("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL"); !done) return done;
  if (*layout == kLayout) return {};
  const std::string sql = std::string{"BEGIN IMMEDIATE;"} + kTables +
                          "PRAGMA application_id=" + std::to_string(kApplicationId) +
                          "; PRAGMA user_version=" + std::to_string(kLayout) + "; COMMIT;";
  return run(sql.c_str());
}

Result<Revision, StoreError> SqliteStore::read_revision() {
  Statement statement{db_, "SELECT value FROM revision"};
  if (statement.step() != SQLITE_ROW) return failure(error("reading"));
  return statement.number(0);
}

Result<std::optional<StoredValue>, StoreError> SqliteStore::find(std::string_view key) {
  Statement statement{db_, "SELECT value, modified FROM entries WHERE key = ?1"};
  switch (statement.text(1, key).step()) {
    case SQLITE_ROW:
      return std::optional{StoredValue{statement.bytes(0), statement.number(1)}};
    case SQLITE_DONE:
      return std::optional<StoredValue>{};
    default:
      return failure(error("reading"));
  }
}

Result<std::optional<StoredValue>, StoreError> SqliteStore::get(std::string_view key) {
  const std::scoped_lock lock{lock_};
  return find(key);
}

Result<Snapshot, StoreError> SqliteStore::read_all(std::string_view prefix) {
  Snapshot found;
  const auto revision = read_revision();
  if (!revision) return failure(revision.error());
  found.revision = *revision;
  Statement statement{db_, "SELECT key, value, modified FROM entries WHERE key >= ?1 ORDER BY key"};
  statement.text(1, prefix);
  int code = SQLITE_DONE;
  while ((code = statement.step()) == SQLITE_ROW) {
    auto key = statement.bytes(0);
    if (!key.starts_with(prefix)) return found;
    found.entries.emplace_hint(found.entries.end(), std::move(key),
                               StoredValue{statement.bytes(1), statement.number(2)});
  }
  if (code != SQLITE_DONE) return failure(error("reading"));
  return found;
}

Result<Snapshot, StoreError> SqliteStore::list(std::string_view prefix) {
  const std::scoped_lock lock{lock_};
  if (auto begun = run("BEGIN"); !begun) return failure(begun.error());  // all of it as of one commit
  auto found = read_all(prefix);
  if (auto ended = run("COMMIT"); !ended && found) found = failure(ended.error());
  return found;
}

Result<Revision, StoreError> SqliteStore::apply(const Write& write) {
  for (const auto& [key, modified] : write.compares) {
    const auto known = find(key);
    if (!known) return failure(known.error());
    if ((known->has_value() ? (*known)->modified : kAbsent) != modified) {
      return failure(StoreError{StoreFailure::kConflict, key + " was changed meanwhile"});
    }
  }
  const auto before = read_revision();
  if (!before) return failure(before.error());
  const Revision revision = *before + 1;
  const auto done = [](Statement& statement) { return statement.step() == SQLITE_DONE; };
  for (const auto& [key, value] : write.puts) {
    Statement put{db_, "INSERT OR REPLACE INTO entries(key, value, modified) VALUES(?1, ?2, ?3)"};
    if (!done(put.text(1, key).blob(2, value).number(3, revision))) return failure(error("writing"));
  }
  for (const auto& key : write.deletes) {
    Statement erase{db_, "DELETE FROM entries WHERE key = ?1"};
    if (!done(erase.text(1, key))) return failure(error("writing"));
  }
  Statement count{db_, "UPDATE revision SET value = ?1"};
  if (!done(count.number(1, revision))) return failure(error("writing"));
  return revision;
}

Result<Revision, StoreError> SqliteStore::commit(const Write& write) {
  if (auto fine = check(write); !fine) return failure(fine.error());
  const std::scoped_lock lock{lock_};
  if (auto begun = run("BEGIN IMMEDIATE"); !begun) return failure(begun.error());
  auto revision = apply(write);
  if (revision) {
    if (auto committed = run("COMMIT"); !committed) revision = failure(committed.error());
  }
  if (!revision && sqlite3_get_autocommit(db_) == 0) (void)run("ROLLBACK");  // keeps the first error
  return revision;
}

}  // namespace isthmus::controller
