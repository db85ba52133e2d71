// SPDX-License-Identifier: Apache-2.0
#include "common/base/utf8.hpp"

#include <gtest/gtest.h>

namespace isthmus {
namespace {

TEST(Utf8, WhatIsWholeAndFitsStaysAsItIs) {
  EXPECT_EQ("naïve €, 😀", utf8_within("naïve €, 😀", 100));
  EXPECT_EQ("", utf8_within("", 100));
}

TEST(Utf8, ACutNeverSplitsACharacter) {
  const std::string text = "a€😀";  // 1 + 3 + 4 bytes
  const std::string whole[] = {"", "a", "a", "a", "a€", "a€", "a€", "a€", text};
  for (std::size_t limit = 0; limit <= text.size(); ++limit)
    EXPECT_EQ(whole[limit], utf8_within(text, limit)) << limit;
}

TEST(Utf8, EachByteThatBelongsToNoCharacterIsReplaced) {
  EXPECT_EQ("a\uFFFDb", utf8_within("a\xff"
                                    "b",
                                    100));
  EXPECT_EQ("\uFFFD\uFFFD", utf8_within("\xe2\x82", 100)) << "cut off";
  EXPECT_EQ("", utf8_within("\xff", 2)) << "the replacement does not fit";
}

TEST(Utf8, LongerThanNeededSurrogatesAndWhatIsBeyondUnicodeAreNone) {
  for (const char* text : {"\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf", "\xed\xa0\x80",
                           "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\x80"})
    EXPECT_EQ(0U, utf8_length(text)) << utf8_within(text, 100);
  for (const char* text :
       {"\xc2\x80", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"})
    EXPECT_EQ(std::string_view{text}.size(), utf8_length(text));
}

}  // namespace
}  // namespace isthmus
