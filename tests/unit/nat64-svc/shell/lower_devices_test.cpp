// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/lower_devices.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>

namespace isthmus::nat64 {
namespace {

using Names = std::vector<std::string>;

struct Machine {
  std::map<std::string, Names> below;
  std::set<std::string> merging;

  [[nodiscard]] Names found(const std::string& device) const {
    return merging_below(
        device, {[this](const std::string& name) { return below.contains(name) ? below.at(name) : Names{}; },
                 [this](const std::string& name) { return merging.contains(name); }});
  }
};

TEST(LowerDevices, APlainCardHasNoneAndItsOwnOffloadDoesNotMatter) {
  EXPECT_EQ((Machine{{}, {"eth0"}}.found("eth0")), Names{});
}

TEST(LowerDevices, AVlanOnABondIsAboveItAndItsMembers) {
  Machine machine{{{"bond0.10", {"bond0"}}, {"bond0", {"eth0", "eth1"}}}, {"bond0", "eth0", "eth1"}};
  EXPECT_EQ(machine.found("bond0.10"), (Names{"bond0", "eth0", "eth1"}));
  machine.merging = {"eth1"};
  EXPECT_EQ(machine.found("bond0.10"), Names{"eth1"});
  machine.merging = {};
  EXPECT_EQ(machine.found("bond0.10"), Names{});
}

TEST(LowerDevices, OneBelowTwoOthersIsNamedOnce) {
  const Machine machine{{{"a", {"b", "c"}}, {"b", {"d"}}, {"c", {"d"}}}, {"d"}};
  EXPECT_EQ(machine.found("a"), Names{"d"});
}

TEST(LowerDevices, TheKernelKnowsNothingBelowADeviceThatIsNotThere) {
  EXPECT_EQ(merging_below("no-such-device", ask_kernel()), Names{});
}

}  // namespace
}  // namespace isthmus::nat64
