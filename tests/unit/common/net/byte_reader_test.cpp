// SPDX-License-Identifier: Apache-2.0
#include "common/net/byte_reader.hpp"

#include <gtest/gtest.h>

#include "common/net/byte_writer.hpp"

namespace isthmus {
namespace {

TEST(ByteReader, ErrorIsStickyAndReadsAreZeroAfterIt) {
  const std::uint8_t bytes[] = {1, 2, 3};
  ByteReader r{bytes};
  EXPECT_EQ(r.u16(), 0x0102);
  EXPECT_EQ(r.u16(), 0);  // one byte short
  EXPECT_FALSE(r.ok());
  EXPECT_EQ(r.u8(), 0);  // though a byte is left
  EXPECT_FALSE(r.ok());
}

TEST(ByteReader, SeekPastTheEndFails) {
  const std::uint8_t bytes[] = {1, 2, 3};
  ByteReader r{bytes};
  r.seek(3);
  EXPECT_TRUE(r.ok());
  r.seek(4);
  EXPECT_FALSE(r.ok());
}

TEST(ByteWriter, WhatDoesNotFitChangesNothing) {
  std::uint8_t buffer[3] = {9, 9, 9};
  ByteWriter w{buffer};
  w.u16(0x0102);
  w.u32(7);
  EXPECT_FALSE(w.ok());
  EXPECT_EQ(w.size(), 2U);
  EXPECT_EQ(buffer[2], 9);
  w.rewind(2);
  w.u8(5);
  EXPECT_TRUE(w.ok());
}

TEST(ByteWriter, PatchOnlyInsideWhatWasWritten) {
  std::uint8_t buffer[4] = {};
  ByteWriter w{buffer};
  w.u16(0);
  w.patch_u16(0, 0xbeef);
  EXPECT_EQ(buffer[0], 0xbe);
  w.patch_u16(1, 1);
  EXPECT_FALSE(w.ok());
}

}  // namespace
}  // namespace isthmus
