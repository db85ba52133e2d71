// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/core/tables/flat_index.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace isthmus::nat64 {
namespace {

TEST(FlatIndex, AgreesWithAMapThroughAHundredThousandChanges) {
  constexpr std::uint32_t kCapacity = 500;
  FlatIndex index{kCapacity, std::pmr::new_delete_resource()};
  std::map<std::uint32_t, std::uint64_t> model;  // record -> hash
  std::mt19937_64 random{7};
  // Few homes on purpose: long clusters, wrapped around the end.
  const auto any_hash = [&] { return (random() % 64 << 58) | (random() & 0xffffffff); };
  for (int i = 0; i < 100000; ++i) {
    const auto record = static_cast<std::uint32_t>(random() % kCapacity);
    if (const auto at = model.find(record); at != model.end()) {
      index.erase(at->second, record, [&](std::uint32_t n) { return model.at(n); });
      model.erase(at);
    } else {
      model[record] = any_hash();
      index.insert(model[record], record);
    }
    const auto probe = static_cast<std::uint32_t>(random() % kCapacity);
    const auto at = model.find(probe);
    const auto hash = at != model.end() ? at->second : any_hash();
    const auto found = index.find(hash, [&](std::uint32_t n) { return n == probe; });
    ASSERT_EQ(found, at != model.end() ? probe : kNone) << "step " << i;
  }
}

}  // namespace
}  // namespace isthmus::nat64
