// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/xsk/umem.hpp"

#include <gtest/gtest.h>

namespace isthmus::nat64 {
namespace {

TEST(FrameSizeForMtu, EthernetFitsIntoTheSmallFrame) {
  EXPECT_EQ(frame_size_for_mtu(1280), 2048U);
  EXPECT_EQ(frame_size_for_mtu(1500), 2048U);
}

TEST(FrameSizeForMtu, LargerPacketsNeedTheLargeFrame) {
  EXPECT_EQ(frame_size_for_mtu(2048 - kXdpHeadroom - kFrameHeadroom - kLinkHeader), 2048U);
  EXPECT_EQ(frame_size_for_mtu(2048 - kXdpHeadroom - kFrameHeadroom - kLinkHeader + 1), 4096U);
  EXPECT_EQ(frame_size_for_mtu(kLargestMtu), 4096U);
}

TEST(FrameSizeForMtu, JumboFramesDoNotFit) {
  EXPECT_EQ(frame_size_for_mtu(kLargestMtu + 1), std::nullopt);
  EXPECT_EQ(frame_size_for_mtu(9000), std::nullopt);
}

TEST(RingSizeFor, ManySocketsHaveSmallerRings) {
  EXPECT_EQ(ring_size_for(0), 4096U);
  EXPECT_EQ(ring_size_for(2), 4096U);
  EXPECT_EQ(ring_size_for(4), 4096U);
  EXPECT_EQ(ring_size_for(5), 2048U);
  EXPECT_EQ(ring_size_for(16), 1024U);
  EXPECT_EQ(ring_size_for(128), 512U);
}

}  // namespace
}  // namespace isthmus::nat64
