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
  const WorkerPort port{.interface = "eth0.10", .device = "eth0", .queues = {0, 1, 2, 3}};
  EXPECT_THAT(queues_problem(port, 4), IsEmpty());
  EXPECT_THAT(queues_problem(port, std::nullopt), IsEmpty());
  EXPECT_THAT(queues_problem(port, 8), HasSubstr("eth0 has 8 queues now and had 4"));
  EXPECT_THAT(queues_problem(port, 2), HasSubstr("restart nat64-svc"));
}

// Two VLANs of one trunk.
TEST(PortHealth, TheSecondPortOfADeviceHasNoQueuesOfItsOwn) {
  const WorkerPort second{.interface = "trunk.20", .device = "trunk", .queues = {}};
  EXPECT_THAT(queues_problem(second, 2), IsEmpty());
}

}  // namespace
}  // namespace isthmus::nat64
