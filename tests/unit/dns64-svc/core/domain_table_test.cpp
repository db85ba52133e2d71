// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/core/domain_table.hpp"

#include <gtest/gtest.h>

namespace isthmus::dns64 {
namespace {

DomainRule find(const DomainTable& table, const std::string& name) {
  return table.find(Name::parse(name)->view());
}

DomainTable table_of(const std::vector<std::string>& never, const std::vector<std::string>& always) {
  Exclusions exclusions;
  exclusions.never_synthesize = never;
  exclusions.always_synthesize = always;
  return DomainTable{exclusions};
}

TEST(DomainTable, TheLongestListedDomainDecides) {
  const std::vector<std::string> never{"corp.example.", "a.b.legacy.example."};
  const std::vector<std::string> always{"legacy.example.", "x.corp.example."};
  const auto table = table_of(never, always);
  EXPECT_EQ(find(table, "corp.example."), DomainRule::kNeverSynthesize);
  EXPECT_EQ(find(table, "www.corp.example."), DomainRule::kNeverSynthesize);
  EXPECT_EQ(find(table, "www.x.corp.example."), DomainRule::kAlwaysSynthesize);
  EXPECT_EQ(find(table, "b.legacy.example."), DomainRule::kAlwaysSynthesize);
  EXPECT_EQ(find(table, "c.a.b.legacy.example."), DomainRule::kNeverSynthesize);
  EXPECT_EQ(find(table, "example."), DomainRule::kNone);
  EXPECT_EQ(find(table, "mycorp.example."), DomainRule::kNone);
}

TEST(DomainTable, TheRootListsEverything) {
  const std::vector<std::string> never{"."};
  const std::vector<std::string> always{"legacy.example."};
  const auto table = table_of(never, always);
  EXPECT_EQ(find(table, "anything.else."), DomainRule::kNeverSynthesize);
  EXPECT_EQ(find(table, "legacy.example."), DomainRule::kAlwaysSynthesize);
}

TEST(DomainTable, ADomainOnBothListsIsNeverSynthesized) {
  const std::vector<std::string> both{"x.example."};
  const auto table = table_of(both, both);
  EXPECT_EQ(find(table, "x.example."), DomainRule::kNeverSynthesize);
}

TEST(DomainTable, ManyDomainsAreAllFound) {
  std::vector<std::string> never;
  for (int i = 0; i < 20000; ++i) never.push_back("d" + std::to_string(i) + ".example.");
  const auto table = table_of(never, {});
  EXPECT_EQ(table.size(), never.size());
  for (const auto& domain : never)
    ASSERT_EQ(find(table, "www." + domain), DomainRule::kNeverSynthesize) << domain;
  EXPECT_EQ(find(table, "d20000.example."), DomainRule::kNone);
}

TEST(DomainTable, ListsInFilesCountAsThoseInThePolicy) {
  const auto list = [](const char* text) {
    return DomainList{"f", {"h"}, {std::make_shared<const std::string>(text)}};
  };
  Exclusions exclusions;
  exclusions.always_synthesize = {"a.example."};
  exclusions.never_synthesize_lists = {list("a.example.\nb.example.\n"), list("")};
  exclusions.always_synthesize_lists = {list("c.b.example.\n")};
  const DomainTable table{exclusions};
  EXPECT_EQ(find(table, "a.example."), DomainRule::kNeverSynthesize);
  EXPECT_EQ(find(table, "b.example."), DomainRule::kNeverSynthesize);
  EXPECT_EQ(find(table, "x.c.b.example."), DomainRule::kAlwaysSynthesize);
  EXPECT_EQ(table.size(), 3U);
}

}  // namespace
}  // namespace isthmus::dns64
