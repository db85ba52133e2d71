// SPDX-License-Identifier: Apache-2.0
#include "common/net/host_port.hpp"

#include <gtest/gtest.h>

namespace isthmus {
namespace {

TEST(HostPort, ReadsAddressesAndNames) {
  EXPECT_EQ(parse_host_port("127.0.0.1:9464"), (HostPort{"127.0.0.1", 9464}));
  EXPECT_EQ(parse_host_port("[2001:db8::1]:53"), (HostPort{"2001:db8::1", 53}));
  EXPECT_EQ(parse_host_port("controller.example:7443"), (HostPort{"controller.example", 7443}));
  EXPECT_EQ(parse_host_port("[::]:0"), (HostPort{"::", 0}));
}

TEST(HostPort, RefusesEverythingElse) {
  for (const auto* text :
       {"", ":", "host", "host:", ":53", "::1:53", "[::1]", "[::1]:", "[::1:53", "[host]:53", "host:65536",
        "host:-1", "host:+1", "host: 1", "host:1x", "[]:53", "[::1]x:53"}) {
    EXPECT_FALSE(parse_host_port(text)) << text;
  }
}

}  // namespace
}  // namespace isthmus
