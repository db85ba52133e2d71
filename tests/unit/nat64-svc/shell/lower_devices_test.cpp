// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/lower_devices.hpp"

#include <gtest/gtest.h>

#include <set>

namespace isthmus::nat64 {
namespace {

using Indexes = std::vector<int>;

// Links by index, what is below each by IFLA_LINK, and whose member each is.
struct Machine {
  std::map<int, Interface> interfaces;
  std::set<int> merging;

  void add(int index, int lower = 0, int master = 0) {
    auto& interface = interfaces[index];
    interface.index = index;
    interface.lower = lower;
    interface.master = master;
  }
  [[nodiscard]] Indexes found(int index) const {
    return merging_below(index, interfaces, [this](int number) { return merging.contains(number); });
  }
};

TEST(LowerDevices, APlainCardHasNoneAndItsOwnOffloadDoesNotMatter) {
  Machine machine;
  machine.add(2);
  machine.add(3);
  machine.merging = {2, 3};
  EXPECT_EQ(machine.found(2), Indexes{});
}

TEST(LowerDevices, AVlanOnABondIsAboveItAndItsMembers) {
  Machine machine;
  machine.add(2, 0, 4);
  machine.add(3, 0, 4);
  machine.add(4);
  machine.add(5, 4);
  machine.merging = {2, 3, 4, 5};
  EXPECT_EQ(machine.found(5), (Indexes{4, 2, 3}));
  machine.merging = {3};
  EXPECT_EQ(machine.found(5), Indexes{3});
  machine.merging = {};
  EXPECT_EQ(machine.found(5), Indexes{});
}

TEST(LowerDevices, LinksThatLeadInACircleEnd) {
  Machine machine;
  machine.add(2, 3);
  machine.add(3, 2);
  machine.merging = {2, 3};
  EXPECT_EQ(machine.found(2), Indexes{3});
}

TEST(LowerDevices, ADeviceThatIsNotThereHasNone) {
  Machine machine;
  machine.add(2);
  machine.merging = {2};
  EXPECT_EQ(machine.found(0), Indexes{});
  EXPECT_EQ(machine.found(9), Indexes{});
}

}  // namespace
}  // namespace isthmus::nat64
