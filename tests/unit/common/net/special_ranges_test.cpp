// SPDX-License-Identifier: Apache-2.0
#include "common/net/special_ranges.hpp"

#include <gtest/gtest.h>

namespace isthmus {
namespace {

TEST(SpecialRanges, NonGlobalAddressesAndTheirNeighbours) {
  struct Row {
    const char* address;
    bool non_global;
  };
  for (const auto& row : {Row{"10.0.0.1", true}, Row{"11.0.0.0", false}, Row{"172.15.255.255", false},
                          Row{"172.16.0.0", true}, Row{"172.31.255.255", true}, Row{"172.32.0.0", false},
                          Row{"192.168.1.1", true}, Row{"100.64.0.1", true}, Row{"100.128.0.0", false},
                          Row{"169.254.1.1", true}, Row{"127.0.0.1", true}, Row{"224.0.0.1", true},
                          Row{"255.255.255.255", true}, Row{"192.0.0.170", true}, Row{"192.0.0.9", false},
                          Row{"8.8.8.8", false}, Row{"198.20.0.0", false}, Row{"198.19.255.255", true}}) {
    EXPECT_EQ(is_non_global(Ipv4Address::parse(row.address).value()), row.non_global) << row.address;
  }
}

}  // namespace
}  // namespace isthmus
