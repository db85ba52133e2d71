// SPDX-License-Identifier: Apache-2.0
// What every engine promises. The etcd engine runs the same tests in tests/e2e/controller, against a real
// etcd.
#include "controller/store/store.hpp"

#include <gtest/gtest.h>

#include "controller/store/memory_store.hpp"
#include "controller/store/sqlite_store.hpp"
#include "tests/support/scratch_dir.hpp"
#include "tests/support/store_contract.hpp"

namespace isthmus::controller {
namespace {

struct InMemory {
  MemoryStore it;
  Store& store() { return it; }
};

struct OnDisk {
  test::ScratchDir dir;
  std::unique_ptr<SqliteStore> it = std::move(SqliteStore::open(dir.path() + "/store.db").value());
  Store& store() { return *it; }
};

using Engines = testing::Types<InMemory, OnDisk>;
INSTANTIATE_TYPED_TEST_SUITE_P(Each, StoreContract, Engines);

}  // namespace
}  // namespace isthmus::controller
