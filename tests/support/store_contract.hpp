// SPDX-License-Identifier: Apache-2.0
// The contract of controller/store/store.hpp as typed tests. An engine is a class with `Store& store()`,
// empty at first.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "controller/store/store.hpp"

namespace isthmus::controller {

template <class Engine>
class StoreContract : public testing::Test {
 protected:
  Store& store() { return engine_.store(); }
  Revision put(const std::string& key, const std::string& value) {
    return store().commit({.compares = {}, .puts = {{key, value}}, .deletes = {}}).value();
  }
  std::string value_of(const std::string& key) {
    const auto found = store().get(key).value();
    return found ? found->value : "(absent)";
  }

 private:
  Engine engine_;
};
TYPED_TEST_SUITE_P(StoreContract);

TYPED_TEST_P(StoreContract, AnEmptyStoreHasNothing) {
  EXPECT_FALSE(this->store().get("a").value());
  EXPECT_TRUE(this->store().list("").value().entries.empty());
}

TYPED_TEST_P(StoreContract, WhatIsPutIsThereWithTheRevisionOfItsCommit) {
  const auto first = this->put("a", "1");
  const auto second = this->put("b", std::string("\0\xff", 2));
  EXPECT_GT(first, kAbsent);
  EXPECT_GT(second, first);
  EXPECT_EQ("1", this->store().get("a").value()->value);
  EXPECT_EQ(first, this->store().get("a").value()->modified);
  EXPECT_EQ(std::string("\0\xff", 2), this->store().get("b").value()->value);
  EXPECT_EQ(second, this->store().list("").value().revision);
}

TYPED_TEST_P(StoreContract, AListIsWhatBeginsWithThePrefixInOrder) {
  for (const auto* key : {"leases/2", "leases/10", "lease", "leases", "nodes/1"}) this->put(key, key);
  std::vector<std::string> keys;
  const auto found = this->store().list("leases/").value();
  for (const auto& [key, value] : found.entries) {
    keys.push_back(key);
    EXPECT_EQ(key, value.value);
  }
  EXPECT_EQ((std::vector<std::string>{"leases/10", "leases/2"}), keys);
  EXPECT_EQ(5U, this->store().list("").value().entries.size());
  EXPECT_TRUE(this->store().list("z").value().entries.empty());
}

TYPED_TEST_P(StoreContract, ACommitIsAllOrNothing) {
  const auto known = this->put("a", "1");
  const Write write{
      .compares = {{"a", known}, {"b", known}}, .puts = {{"a", "2"}, {"c", "3"}}, .deletes = {}};
  const auto refused = this->store().commit(write);
  ASSERT_FALSE(refused);
  EXPECT_EQ(StoreFailure::kConflict, refused.error().kind);
  EXPECT_EQ("1", this->value_of("a"));
  EXPECT_EQ("(absent)", this->value_of("c"));
}

TYPED_TEST_P(StoreContract, ACompareHoldsForTheRevisionThatWasReadOnly) {
  const auto first = this->put("a", "1");
  const auto second = this->put("a", "2");
  const auto swap = [&](Revision from) {
    return this->store().commit({.compares = {{"a", from}}, .puts = {{"a", "3"}}, .deletes = {}});
  };
  EXPECT_FALSE(swap(first));
  EXPECT_FALSE(swap(kAbsent));
  EXPECT_TRUE(swap(second));
  EXPECT_FALSE(swap(second));
}

TYPED_TEST_P(StoreContract, AbsentMeansThatTheKeyIsNotThere) {
  const Write create{.compares = {{"a", kAbsent}}, .puts = {{"a", "1"}}, .deletes = {}};
  EXPECT_TRUE(this->store().commit(create));
  EXPECT_FALSE(this->store().commit(create));
  EXPECT_TRUE(this->store().commit({.compares = {}, .puts = {}, .deletes = {"a"}}));
  EXPECT_EQ("(absent)", this->value_of("a"));
  EXPECT_TRUE(this->store().commit(create));
}

TYPED_TEST_P(StoreContract, DeletingWhatIsAbsentIsNoError) {
  EXPECT_TRUE(this->store().commit({.compares = {}, .puts = {{"a", "1"}}, .deletes = {"b", "c"}}));
  EXPECT_EQ("1", this->value_of("a"));
}

TYPED_TEST_P(StoreContract, WhatIsTooLargeIsRefusedWhole) {
  const auto kind = [&](const Write& write) {
    const auto done = this->store().commit(write);
    return done ? std::string("committed") : std::string(kStoreFailureNames[done.error().kind]);
  };
  EXPECT_EQ("too_large",
            kind({.compares = {}, .puts = {{"a", std::string(kMaxValue + 1, 'x')}}, .deletes = {}}));
  EXPECT_EQ("too_large",
            kind({.compares = {}, .puts = {{std::string(kMaxKey + 1, 'k'), ""}}, .deletes = {}}));
  EXPECT_EQ("too_large", kind({.compares = {}, .puts = {{"", "no key"}}, .deletes = {}}));
  Write many{.compares = {}, .puts = {}, .deletes = {}};
  for (std::size_t i = 0; i <= kMaxWriteOperations; ++i) many.puts.emplace("k" + std::to_string(i), "");
  EXPECT_EQ("too_large", kind(many));
  EXPECT_TRUE(this->store().list("").value().entries.empty());
}

TYPED_TEST_P(StoreContract, TheLargestThatIsAllowedFits) {
  this->put("a", std::string(kMaxValue, 'x'));
  EXPECT_EQ(kMaxValue, this->store().get("a").value()->value.size());
  Write many{.compares = {}, .puts = {}, .deletes = {}};
  for (std::size_t i = 0; i < kMaxWriteOperations; ++i)
    many.puts.emplace("k" + std::to_string(i), std::string(9000, 'y'));
  EXPECT_TRUE(this->store().commit(many));
  EXPECT_EQ(kMaxWriteOperations, this->store().list("k").value().entries.size());
}

TYPED_TEST_P(StoreContract, OfThreadsThatChangeOneKeyByCompareNoneLosesAChange) {
  this->put("n", "0");
  const auto count = [&] {
    for (int done = 0; done < 20;) {
      const auto now = this->store().get("n").value();
      const Write next{.compares = {{"n", now->modified}},
                       .puts = {{"n", std::to_string(std::stoi(now->value) + 1)}},
                       .deletes = {}};
      done += this->store().commit(next) ? 1 : 0;
    }
  };
  std::thread other{count};
  count();
  other.join();
  EXPECT_EQ("40", this->value_of("n"));
}

REGISTER_TYPED_TEST_SUITE_P(StoreContract, AnEmptyStoreHasNothing, WhatIsPutIsThereWithTheRevisionOfItsCommit,
                            AListIsWhatBeginsWithThePrefixInOrder, ACommitIsAllOrNothing,
                            ACompareHoldsForTheRevisionThatWasReadOnly, AbsentMeansThatTheKeyIsNotThere,
                            DeletingWhatIsAbsentIsNoError, WhatIsTooLargeIsRefusedWhole,
                            TheLargestThatIsAllowedFits, OfThreadsThatChangeOneKeyByCompareNoneLosesAChange);

}  // namespace isthmus::controller
