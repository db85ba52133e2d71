// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/busy_poll_settings.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace isthmus::nat64 {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class BusyPollSettings : public ::testing::Test {
 protected:
  std::map<std::string, std::uint64_t> values{{"napi_defer_hard_irqs", 0}, {"gro_flush_timeout", 20000}};
  bool writable = true;
  [[nodiscard]] InterfaceFiles files() {
    return {[this](const std::string& name) -> std::optional<std::uint64_t> { return values.at(name); },
            [this](const std::string& name, const std::string& value) {
              if (writable) values[name] = std::stoull(value);
              return writable;
            }};
  }
};

TEST_F(BusyPollSettings, WhatIsTooSmallIsSetAndWhatIsRightStays) {
  EXPECT_THAT(prepare_busy_poll("eth0", files()), IsEmpty());
  EXPECT_EQ(values["napi_defer_hard_irqs"], 2U);
  EXPECT_EQ(values["gro_flush_timeout"], 20000U);
}

TEST_F(BusyPollSettings, WhatCannotBeSetIsNamedWithItsValueAndTheRemedy) {
  writable = false;
  EXPECT_THAT(prepare_busy_poll("eth0", files()),
              ElementsAre("napi_defer_hard_irqs of eth0 is 0, too little for busy polling: echo 2 > "
                          "/sys/class/net/eth0/napi_defer_hard_irqs"));
}

TEST_F(BusyPollSettings, WithoutFilesBothAreNamed) {
  EXPECT_THAT(prepare_busy_poll("eth0", std::nullopt),
              ElementsAre(HasSubstr("not to be seen"), HasSubstr("gro_flush_timeout")));
}

TEST_F(BusyPollSettings, TheSysOfAnotherNamespaceIsNotUsed) {
  EXPECT_FALSE(interface_files("lo", 12345).has_value());
}

}  // namespace
}  // namespace isthmus::nat64
