// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/core/wire/name.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace isthmus::dns64 {
namespace {

using Bytes = std::vector<std::uint8_t>;

TEST(Name, TextAndWireAgree) {
  for (const char* text :
       {".", "example.", "www.example.com.", "a\\.b.example.", "\\000\\255.x.", "xn--nxasmq6b."}) {
    const auto name = Name::parse(text);
    ASSERT_TRUE(name) << text;
    EXPECT_EQ(name->to_string(), text);
    const auto again = Name::from_wire(name->view());
    ASSERT_TRUE(again) << text;
    EXPECT_TRUE(equal_names(again->view(), name->view()));
  }
  EXPECT_EQ(Name::parse("no.dot")->to_string(), "no.dot.");
}

TEST(Name, WhatIsNoNameIsRefused) {
  const std::string label63(63, 'a');
  for (const std::string& text : {std::string{}, std::string{"a..b."}, std::string{".a."}, label63 + "a.",
                                  std::string{"a\\"}, std::string{"\\256."}, std::string{"\\25"},
                                  label63 + "." + label63 + "." + label63 + "." + label63 + "."})
    EXPECT_FALSE(Name::parse(text)) << text;
  EXPECT_TRUE(Name::parse(label63 + "." + label63 + "." + label63 + "." + std::string(61, 'b') + "."));
  EXPECT_FALSE(Name::from_wire(Bytes{1, 'a'}));        // no root
  EXPECT_FALSE(Name::from_wire(Bytes{1, 'a', 0, 0}));  // more than one name
  EXPECT_FALSE(Name::from_wire(Bytes{0xc0, 12}));      // a pointer is not uncompressed
}

TEST(Name, PointersAreFollowedBackwards) {
  const Bytes message{3, 'c', 'o', 'm', 0, 1, 'a', 0xc0, 0, 1, 'b', 0xc0, 5, 99};
  std::size_t at = 9;
  const auto name = Name::read(message, at);
  ASSERT_TRUE(name);
  EXPECT_EQ(name->to_string(), "b.a.com.");
  EXPECT_EQ(at, 13U);
}

TEST(Name, LoopsForwardPointersAndBadLabelsAreErrors) {
  struct Row {
    const char* why;
    Bytes message;
    std::size_t at;
    WireError want;
  };
  const Row rows[] = {
      {"a pointer to itself", {0xc0, 0}, 0, WireError::kBadPointer},
      {"two that point at each other", {0xc0, 2, 0xc0, 0}, 2, WireError::kBadPointer},
      {"a loop through a label", {1, 'a', 0xc0, 0}, 0, WireError::kBadPointer},
      {"forwards", {0xc0, 2, 0}, 0, WireError::kBadPointer},
      {"cut inside a label", {3, 'a', 'b'}, 0, WireError::kTruncated},
      {"cut inside a pointer", {0xc0}, 0, WireError::kTruncated},
      {"no root label", {1, 'a'}, 0, WireError::kTruncated},
      {"label type 01", {0x41, 0}, 0, WireError::kBadLabel},
      {"label type 10", {0x80, 0}, 0, WireError::kBadLabel},
  };
  for (const auto& row : rows) {
    std::size_t at = row.at;
    const auto name = Name::read(row.message, at);
    ASSERT_FALSE(name) << row.why;
    EXPECT_EQ(name.error(), row.want) << row.why;
  }
  Bytes longer;
  for (int i = 0; i < 5; ++i) {
    longer.push_back(60);
    longer.insert(longer.end(), 60, 'x');
  }
  longer.push_back(0);
  std::size_t at = 0;
  EXPECT_EQ(Name::read(longer, at).error(), WireError::kNameTooLong);
}

TEST(Name, CaseDoesNotMatter) {
  const auto a = *Name::parse("WwW.Example.");
  EXPECT_TRUE(equal_names(a.view(), Name::parse("www.eXAMPLE.")->view()));
  EXPECT_FALSE(equal_names(a.view(), Name::parse("www.example2.")->view()));
  // '[' and '{' differ by the same bit as letters do, but are no letters.
  EXPECT_FALSE(equal_names(Name::parse("[.")->view(), Name::parse("{.")->view()));
}

TEST(Name, AncestryGoesByLabelsNotByText) {
  const auto example = *Name::parse("example.");
  EXPECT_TRUE(is_at_or_below(Name::parse("a.EXAMPLE.")->view(), example.view()));
  EXPECT_TRUE(is_at_or_below(example.view(), example.view()));
  EXPECT_FALSE(is_at_or_below(Name::parse("anexample.")->view(), example.view()));
  EXPECT_FALSE(is_at_or_below(Name{}.view(), example.view()));
  EXPECT_TRUE(is_at_or_below(example.view(), Name{}.view()));
  EXPECT_EQ(label_count(Name::parse("a.b.c.")->view()), 3U);
}

}  // namespace
}  // namespace isthmus::dns64
