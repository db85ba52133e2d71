// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/node/sysctls.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace isthmus::nat64 {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(Sysctls, EachWrongOneIsNamedWithItsValueAndRemedy) {
  const std::vector<Sysctl> needed{{"net.a", "1", "because"}, {"net.b", "0", "so"}};
  const auto read = [](const std::string&) -> std::optional<std::string> { return "0"; };
  EXPECT_THAT(wrong_sysctls(needed, read),
              ElementsAre("net.a is 0 and must be 1 (because): sysctl -w net.a=1"));
}

TEST(Sysctls, OneThatTheKernelDoesNotHaveIsNamedAsWell) {
  const auto none = [](const std::string&) -> std::optional<std::string> { return std::nullopt; };
  const auto wrong = wrong_sysctls({{"net.a", "1", "because"}}, none);
  EXPECT_THAT(wrong, ElementsAre(HasSubstr("unknown to this kernel")));
  EXPECT_THAT(wrong_sysctls({}, none), IsEmpty());
}

TEST(Sysctls, RealOnesAreRead) {
  EXPECT_TRUE(read_sysctl("net.ipv4.ip_forward").has_value());
  EXPECT_FALSE(read_sysctl("net.ipv4.no_such_setting").has_value());
}

}  // namespace
}  // namespace isthmus::nat64
