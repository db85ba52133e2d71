// SPDX-License-Identifier: Apache-2.0
// The store's contract on a real etcd, and who may write. etcd_store_test.py starts etcd and this program.
#include "controller/store/etcd_store.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <stdexcept>

#include "tests/support/store_contract.hpp"

namespace isthmus::controller {
namespace {

std::string setting(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// Every store of a test has its own keys.
EtcdOptions options() {
  static int count = 0;
  EtcdOptions options;
  options.endpoints = {"127.0.0.1:1", setting("ISTHMUS_TEST_ETCD")};  // the first member is dead
  options.ca = setting("ISTHMUS_TEST_ETCD_CA");
  options.user = setting("ISTHMUS_TEST_ETCD_USER");
  options.password = setting("ISTHMUS_TEST_ETCD_PASSWORD");
  options.prefix =
      "/test/" + std::to_string(boot_now().time_since_epoch().count()) + "/" + std::to_string(++count) + "/";
  return options;
}

struct Etcd {
  Etcd() {
    // A transaction is tried on one member only; the second try asks the other.
    for (int i = 0; i < 3 && !it->is_writer(); ++i) (void)it->campaign("test");
    if (!it->is_writer()) throw std::runtime_error("no etcd at ISTHMUS_TEST_ETCD");
  }
  std::shared_ptr<EtcdStore> it = EtcdStore::open(options()).value();
  Store& store() { return *it; }
};
INSTANTIATE_TYPED_TEST_SUITE_P(Etcd, StoreContract, testing::Types<Etcd>);

const Write kWrite{.compares = {}, .puts = {{"a", "1"}}, .deletes = {}};

std::shared_ptr<EtcdStore> another(const EtcdOptions& like) {
  return EtcdStore::open(like).value();
}

TEST(EtcdLeader, TheSecondFollowsTheFirstUntilItResigns) {
  const auto shared = options();
  const auto first = another(shared);
  const auto second = another(shared);
  while (!first->is_writer()) (void)first->campaign("first:1");
  EXPECT_EQ("first:1", second->campaign("second:1").value_or(second->campaign("second:1").value()));
  EXPECT_FALSE(second->is_writer());
  EXPECT_EQ(StoreFailure::kNotWriter, second->commit(kWrite).error().kind);
  ASSERT_TRUE(first->commit(kWrite));
  EXPECT_EQ("1", second->get("a").value()->value);  // who follows may read
  first->resign();
  EXPECT_EQ("second:1", second->campaign("second:1").value());
  EXPECT_TRUE(second->is_writer());
  EXPECT_TRUE(second->commit(kWrite));
  EXPECT_EQ(StoreFailure::kNotWriter, first->commit(kWrite).error().kind);
}

TEST(EtcdLeader, AWriterThatWasReplacedCannotWriteThoughItDoesNotKnow) {
  const auto shared = options();
  const auto first = another(shared);
  while (!first->is_writer()) (void)first->campaign("first:1");
  // Its key goes behind its back, as it does when its lease runs out.
  const auto client = EtcdClient::make(shared).value();
  etcdserverpb::TxnRequest txn;
  txn.add_success()->mutable_request_delete_range()->set_key(shared.prefix + "leader");
  while (!client->txn(txn)) {
  }
  const auto second = another(shared);
  while (!second->is_writer()) (void)second->campaign("second:1");
  EXPECT_TRUE(first->is_writer()) << "it still believes so";
  const auto late = first->commit(kWrite);
  ASSERT_FALSE(late);
  EXPECT_EQ(StoreFailure::kNotWriter, late.error().kind);
  EXPECT_FALSE(second->get("a").value());
}

TEST(EtcdLeader, AWrongPasswordOrAStrangeCaIsAnErrorNotAHang) {
  auto wrong = options();
  wrong.call_timeout_ms = 500;
  if (wrong.user.empty()) {
    wrong.endpoints = {"127.0.0.1:1"};  // nobody there
  } else {
    wrong.password += "x";
  }
  const auto store = another(wrong);
  EXPECT_FALSE(store->campaign("first:1"));
  EXPECT_FALSE(store->list(""));
}

TEST(EtcdLeader, AListingOfSeveralPagesIsOfOneRevision) {
  Etcd etcd;
  Write write{.compares = {}, .puts = {}, .deletes = {}};
  for (int i = 0; i < 2350; ++i) {
    write.puts.emplace("k" + std::to_string(i), "v");
    if (write.puts.size() < kMaxWriteOperations) continue;
    ASSERT_TRUE(etcd.store().commit(write));
    write.puts.clear();
  }
  ASSERT_TRUE(etcd.store().commit(write));
  EXPECT_EQ(2350U, etcd.store().list("k").value().entries.size());
}

}  // namespace
}  // namespace isthmus::controller
