// SPDX-License-Identifier: Apache-2.0
#include "controller/store/memory_store.hpp"

namespace isthmus::controller {

Result<std::optional<StoredValue>, StoreError> MemoryStore::get(std::string_view key) {
  const std::scoped_lock lock{lock_};
  const auto it = all_.entries.find(std::string{key});
  return it == all_.entries.end() ? std::nullopt : std::optional{it->second};
}

Result<Snapshot, StoreError> MemoryStore::list(std::string_view prefix) {
  const std::scoped_lock lock{lock_};
  Snapshot found{.revision = all_.revision, .entries = {}};
  for (auto it = all_.entries.lower_bound(std::string{prefix});
       it != all_.entries.end() && it->first.starts_with(prefix); ++it) {
    found.entries.insert(*it);
  }
  return found;
}

Result<Revision, StoreError> MemoryStore::commit(const Write& write) {
  if (auto fine = check(write); !fine) return failure(fine.error());
  const std::scoped_lock lock{lock_};
  for (const auto& [key, modified] : write.compares) {
    const auto it = all_.entries.find(key);
    if ((it == all_.entries.end() ? kAbsent : it->second.modified) != modified) {
      return failure(StoreError{StoreFailure::kConflict, key + " was changed meanwhile"});
    }
  }
  ++all_.revision;
  for (const auto& [key, value] : write.puts) all_.entries[key] = {value, all_.revision};
  for (const auto& key : write.deletes) all_.entries.erase(key);
  return all_.revision;
}

}  // namespace isthmus::controller
