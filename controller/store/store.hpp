// SPDX-License-Identifier: Apache-2.0
// Where the controller keeps what must outlive it: a small key-value map with one revision that counts
// commits. Keys are paths ("leases/203.0.113.5"), values are messages of store.proto; schema.hpp lists them.
//
// One process writes at a time. Each engine makes sure of it in its own way (a locked file, a leader's lease)
// and refuses a commit of a process that has lost that right, so a writer never overwrites what another wrote
// after it. Whoever reads, sees whole commits.
//
// Thread-safe. Calls block: on a disk that syncs, or on a network.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/enum_names.hpp"
#include "common/base/result.hpp"

namespace isthmus::controller {

using Revision = std::uint64_t;               // grows with every commit
inline constexpr Revision kAbsent = 0;        // in a Compare: the key must not exist
inline constexpr std::size_t kMaxKey = 1024;  // bytes
inline constexpr std::size_t kMaxValue = std::size_t{1} << 20;
// Of one Write together: what every engine takes in one transaction. The caller splits what is larger.
inline constexpr std::size_t kMaxWriteOperations = 100;
inline constexpr std::size_t kMaxWriteBytes = (std::size_t{1} << 20) + (std::size_t{1} << 18);

enum class StoreFailure : std::uint8_t {
  kConflict,     // a compare did not hold: read again, decide again
  kNotWriter,    // another process writes now: this one must stop deciding
  kUnavailable,  // not now; of a commit: it may or may not have happened. The same Write may be tried again
  kTooLarge,     // of a key, a value or a Write
  kUnusable,     // will not mend itself: damaged, of another program, of a newer version, refused place
  kCount
};
inline constexpr EnumNames<StoreFailure> kStoreFailureNames{
    {"conflict", "not_writer", "unavailable", "too_large", "unusable"}};

struct StoreError {
  StoreFailure kind;
  std::string message;  // a sentence with the remedy
};

struct StoredValue {
  std::string value;
  Revision modified = 0;  // the commit that wrote it
};

struct Snapshot {
  Revision revision = 0;  // all of it as of this commit
  std::map<std::string, StoredValue> entries;
};

// All or nothing. A key appears at most once among puts and deletes; deleting what is absent is no error.
struct Write {
  struct Compare {
    std::string key;
    Revision modified = kAbsent;
  };
  std::vector<Compare> compares;
  std::map<std::string, std::string> puts;
  std::vector<std::string> deletes;

  [[nodiscard]] bool empty() const { return puts.empty() && deletes.empty(); }
  [[nodiscard]] std::size_t operations() const { return compares.size() + puts.size() + deletes.size(); }
};

class Store {
 public:
  Store() = default;
  virtual ~Store() = default;
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  [[nodiscard]] virtual Result<std::optional<StoredValue>, StoreError> get(std::string_view key) = 0;
  // Every key that begins with `prefix`, in order; "": all.
  [[nodiscard]] virtual Result<Snapshot, StoreError> list(std::string_view prefix) = 0;
  // Durable when it returns.
  [[nodiscard]] virtual Result<Revision, StoreError> commit(const Write& write) = 0;
  // False: another process may write by now, so nothing may be told on the strength of what was stored
  // before. (What was decided while it was true holds: a successor waits out the promises of its
  // predecessor.)
  [[nodiscard]] virtual bool is_writer() const { return true; }
};

// What every engine checks of a Write first.
[[nodiscard]] Result<void, StoreError> check(const Write& write);

}  // namespace isthmus::controller
