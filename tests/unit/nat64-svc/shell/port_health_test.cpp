// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/port_health.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace isthmus::nat64 {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

Interface running() {
  Interface interface;
  interface.mtu = 1500;
  interface.up = interface.running = true;
  return interface;
}

TEST(PortHealth, AnInterfaceThatRunsHasNoProblem) {
  const auto interface = running();
  EXPECT_THAT(port_problem("wan", &interface, 2048), IsEmpty());
}

TEST(PortHealth, AnInterfaceThatIsGoneDownOrWithoutCarrierIsToldApart) {
  EXPECT_EQ(port_problem("wan", nullptr, 2048), "interface wan is gone");
  auto interface = running();
  interface.running = false;
  EXPECT_EQ(port_problem("wan", &interface, 2048), "interface wan has no carrier");
  interface.up = false;
  EXPECT_EQ(port_problem("wan", &interface, 2048), "interface wan is down");
}

TEST(PortHealth, AnMtuThatOutgrowsTheFramesNeedsARestart) {
  auto interface = running();
  interface.mtu = 3000;
  EXPECT_THAT(port_problem("wan", &interface, 2048), HasSubstr("has become 3000"));
  EXPECT_THAT(port_problem("wan", &interface, 4096), IsEmpty());
}

TEST(PortHealth, QueuesThatCameOrWentNeedARestart) {
  EXPECT_THAT(queues_problem("eth0", 4, 4), IsEmpty());
  EXPECT_THAT(queues_problem("eth0", 8, 4), HasSubstr("eth0 has 8 queues now and had 4"));
  EXPECT_THAT(queues_problem("eth0", 2, 4), HasSubstr("restart nat64-svc"));
}

}  // namespace
}  // namespace isthmus::nat64
