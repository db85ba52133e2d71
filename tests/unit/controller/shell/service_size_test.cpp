// SPDX-License-Identifier: Apache-2.0
// What one service costs the controller in state of its own, as the allocator counts it (glibc's mallinfo2).
#include <gtest/gtest.h>
#include <malloc.h>

#include <iostream>
#include <map>

#include "controller/core/control_plane.hpp"
#include "isthmus/v1/control.pb.h"

namespace isthmus::controller {
namespace {

using std::chrono::seconds;

constexpr std::size_t kServices = 1000;
constexpr std::size_t kMost = 16 << 10;

Hello hello(std::size_t number) {
  const auto text = std::to_string(number);
  Hello h;
  h.node_id = "gateway-" + text + ".site-3.example.net";
  h.incarnation = h.boot_id = h.machine = "0f8fad5b-d9cb-469f-a165-70867728950e";
  h.kind = ServiceKind::kNat64;
  h.build = "1.0.0 (a commit)";
  h.capabilities = {"gateway-mode", "probe"};
  h.peer = "ipv6:%5B2001:db8:1:2:3:4:5:6%5D:54321";
  return h;
}

// Two addresses for each, acked, and a report of each kept as the hub keeps it.
TEST(ServiceSize, AServiceCostsAtMost16KilobytesOfItsOwn) {
  auto policy = std::make_shared<Policy>();
  policy->pools.resize(1);
  policy->pools[0].name = "public";
  policy->pools[0].addresses = {*Ipv4Prefix::parse("203.0.112.0/21")};
  TimePoint now{seconds{1000}};
  ControlPlane plane{Settings{.adopt_grace = {}}, 1, now};
  plane.set_policy(std::move(policy), now);
  plane.settle(now);
  (void)plane.take();
  std::map<ControlPlane::Key, v1::Report> reports;

  const auto before = mallinfo2().uordblks;
  for (SessionId session = 1; session <= kServices; ++session) plane.on_hello(session, hello(session), now);
  for (int round = 0; round < 4; ++round) {
    plane.settle(now);
    for (const auto& action : plane.take().actions) {
      if (const auto* p = std::get_if<SendPolicy>(&action))
        plane.on_ack(p->session, Resource::kPolicy, p->nonce, p->version, now);
      if (const auto* a = std::get_if<SendAllocation>(&action))
        plane.on_ack(a->session, Resource::kAllocation, a->nonce, a->version, now);
    }
    now += seconds{1};
    for (SessionId session = 1; session <= kServices; ++session)
      plane.on_report(session, {.serving = true, .released = {}}, now);
  }
  for (const auto& [key, service] : plane.services()) {
    auto& report = reports[key];
    report.set_serving(true);
    for (int i = 0; i < 8; ++i) report.add_addresses_released("203.0.112.1");
    ASSERT_FALSE(plane.leases().held_by(service.holder()).empty());
  }
  const auto each = (mallinfo2().uordblks - before) / kServices;
  std::cerr << each << " bytes per service\n";
  EXPECT_GT(each, 500U) << "nothing was measured";
  EXPECT_LE(each, kMost);
}

}  // namespace
}  // namespace isthmus::controller
