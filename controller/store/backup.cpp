// SPDX-License-Identifier: Apache-2.0
#include "controller/store/backup.hpp"

#include <algorithm>
#include <filesystem>
#include <vector>

#include "controller/store/schema.hpp"
#include "controller/store/sqlite_store.hpp"

namespace isthmus::controller {
namespace {

constexpr std::size_t kBatchBytes = kMaxWriteBytes / 2;

auto unusable(std::string message) {
  return failure(StoreError{StoreFailure::kUnusable, std::move(message)});
}

// Puts and deletes in as few commits as fit.
class Batches {
 public:
  explicit Batches(Store& store) : store_(store) {}
  [[nodiscard]] Result<void, StoreError> put(const std::string& key, const std::string& value) {
    if (auto room = make_room(key.size() + value.size()); !room) return room;
    write_.puts[key] = value;
    return {};
  }
  [[nodiscard]] Result<void, StoreError> erase(const std::string& key) {
    if (auto room = make_room(key.size()); !room) return room;
    write_.deletes.push_back(key);
    return {};
  }
  [[nodiscard]] Result<void, StoreError> flush() {
    bytes_ = 0;
    const Write write = std::exchange(write_, {});
    if (write.empty()) return {};
    if (const auto done = store_.commit(write); !done) return failure(done.error());
    return {};
  }

 private:
  [[nodiscard]] Result<void, StoreError> make_room(std::size_t bytes) {
    if (write_.operations() == kMaxWriteOperations || (bytes_ > 0 && bytes_ + bytes > kBatchBytes)) {
      if (auto flushed = flush(); !flushed) return flushed;
    }
    bytes_ += bytes;
    return {};
  }
  Store& store_;
  Write write_;
  std::size_t bytes_ = 0;
};

Result<void, StoreError> copy(const Snapshot& all, Store& to) {
  Batches batches{to};
  for (const auto& [key, stored] : all.entries) {
    if (auto put = batches.put(key, stored.value); !put) return put;
  }
  return batches.flush();
}

void remove_database(const std::string& path) {
  for (const auto* suffix : {"", "-wal", "-shm", ".lock"}) {
    std::error_code ignored;
    std::filesystem::remove(path + suffix, ignored);
  }
}

// What must be gone from `into` before the backup's entries are all that counts.
Result<void, StoreError> clear(const Snapshot& held, const Snapshot& all, Store& into) {
  Batches batches{into};
  for (const auto& [key, stored] : held.entries) {
    if (key.starts_with(kHistoryPrefix) || key == kMetaKey || key == kRestoringKey ||
        all.entries.contains(key))
      continue;
    if (auto erased = batches.erase(key); !erased) return erased;
  }
  return batches.flush();
}

std::uint64_t epoch_in(const Snapshot& all) {
  const auto it = all.entries.find(std::string{kMetaKey});
  if (it == all.entries.end()) return 0;
  const auto meta = parse<v1::StoreMeta>(kMetaKey, it->second.value);
  return meta ? meta->epoch() : 0;
}

}  // namespace

Result<BackupSummary, StoreError> back_up(Store& from, const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::exists(path, ignored)) return unusable(path + " exists: give another name");
  const auto all = from.list("");
  if (!all) return failure(all.error());
  if (!all->entries.contains(std::string{kMetaKey}))
    return unusable("there is nothing to back up: no controller has used this store");
  const auto part = path + ".part";
  remove_database(part);
  {
    auto file = SqliteStore::open(part);
    if (!file) return failure(file.error());
    if (auto copied = copy(*all, **file); !copied) {
      remove_database(part);
      return failure(copied.error());
    }
  }
  std::filesystem::rename(part, path, ignored);
  if (ignored) return unusable(path + " cannot be written: " + ignored.message());
  remove_database(part);  // its lock
  return BackupSummary{all->revision, all->entries.size()};
}

Result<BackupSummary, StoreError> restore(const std::string& path, Store& into, bool replace, WallTime now) {
  auto file = SqliteStore::open(path, {.read_only = true});
  if (!file) return failure(file.error());
  const auto all = (*file)->list("");
  if (!all) return failure(all.error());
  if (!all->entries.contains(std::string{kMetaKey})) return unusable(path + " holds no backup");
  auto meta = parse<v1::StoreMeta>(kMetaKey, all->entries.at(std::string{kMetaKey}).value);
  if (!meta) return failure(meta.error());
  if (auto known = check_schema(*meta); !known) return failure(known.error());

  const auto held = into.list("");
  if (!held) return failure(held.error());
  const bool has_leases =
      held->entries.lower_bound(std::string{kLeasePrefix}) != held->entries.end() &&
      held->entries.lower_bound(std::string{kLeasePrefix})->first.starts_with(kLeasePrefix);
  const bool interrupted = held->entries.contains(std::string{kRestoringKey});
  if (has_leases && !replace && !interrupted) {
    return unusable("the store holds leases already: back it up first, then say --replace");
  }
  const std::string restoring{kRestoringKey};
  const auto begun = into.commit({.compares = {}, .puts = {{restoring, path}}, .deletes = {}});
  if (!begun) return failure(begun.error());
  if (auto cleared = clear(*held, *all, into); !cleared) return failure(cleared.error());
  if (auto copied = copy(*all, into); !copied) return failure(copied.error());

  meta->set_settling(true);
  meta->set_restored_ms(now.time_since_epoch().count());
  meta->set_epoch(std::max(meta->epoch(), epoch_in(*held)));
  const auto ended = into.commit(
      {.compares = {}, .puts = {{std::string{kMetaKey}, meta->SerializeAsString()}}, .deletes = {restoring}});
  if (!ended) return failure(ended.error());
  return BackupSummary{all->revision, all->entries.size()};
}

}  // namespace isthmus::controller
