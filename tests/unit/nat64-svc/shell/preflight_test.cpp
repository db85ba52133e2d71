// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/preflight.hpp"

#include <gtest/gtest.h>
#include <linux/capability.h>

namespace isthmus::nat64 {
namespace {

constexpr std::uint64_t bit(unsigned capability) {
  return std::uint64_t{1} << capability;
}

TEST(KernelAtLeast, ComparesMajorThenMinor) {
  EXPECT_TRUE(kernel_at_least("5.10.0-28-amd64", 5, 10));
  EXPECT_TRUE(kernel_at_least("6.1.0-18-amd64", 5, 10));
  EXPECT_FALSE(kernel_at_least("5.9.16", 5, 10));
  EXPECT_FALSE(kernel_at_least("4.19.0", 5, 10));
}

TEST(KernelAtLeast, TextThatIsNoVersionIsTooOld) {
  EXPECT_FALSE(kernel_at_least("", 5, 10));
  EXPECT_FALSE(kernel_at_least("linux", 5, 10));
}

TEST(MissingCapabilities, NoneOfAll) {
  EXPECT_EQ(missing_capabilities(~std::uint64_t{0}), "");
}

TEST(MissingCapabilities, TheFiveThatSuffice) {
  EXPECT_EQ(missing_capabilities(bit(CAP_NET_ADMIN) | bit(CAP_NET_RAW) | bit(CAP_BPF) | bit(CAP_PERFMON) |
                                 bit(CAP_IPC_LOCK)),
            "");
}

TEST(MissingCapabilities, EachIsNamed) {
  EXPECT_EQ(missing_capabilities(~bit(CAP_BPF)), "CAP_BPF");
  EXPECT_EQ(missing_capabilities(~(bit(CAP_NET_RAW) | bit(CAP_IPC_LOCK))), "CAP_NET_RAW, CAP_IPC_LOCK");
}

}  // namespace
}  // namespace isthmus::nat64
