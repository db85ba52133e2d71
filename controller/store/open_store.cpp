// SPDX-License-Identifier: Apache-2.0
#include "controller/store/open_store.hpp"

#include "controller/store/memory_store.hpp"
#include "controller/store/sqlite_store.hpp"

namespace isthmus::controller {
namespace {

constexpr std::string_view kSqlite = "sqlite:";

}  // namespace

Result<std::shared_ptr<Store>, StoreError> open_store(const std::string& text, StoreUse use) {
  if (text == "memory") return std::make_shared<MemoryStore>();
  if (text.starts_with(kSqlite) && text.size() > kSqlite.size()) {
    auto store = SqliteStore::open(text.substr(kSqlite.size()), {.read_only = use == StoreUse::kRead});
    if (!store) return failure(store.error());
    return std::shared_ptr<Store>(std::move(*store));
  }
  return failure(StoreError{StoreFailure::kUnusable, "--store " + text +
                                                         " is not known: give sqlite:PATH, for example "
                                                         "sqlite:/var/lib/isthmus/controller.db, or memory"});
}

}  // namespace isthmus::controller
