// SPDX-License-Identifier: Apache-2.0
// Any services may say anything in any order: the control plane must stay whole, and no address may have two
// holders. Two bytes make one event.
#include <cstdint>
#include <cstdlib>
#include <map>

#include "controller/core/control_plane.hpp"

namespace {

using namespace isthmus;
using namespace isthmus::controller;

std::shared_ptr<const Policy> policy(unsigned variant) {
  auto p = std::make_shared<Policy>();
  p->pools.resize(1);
  p->pools[0].name = "public";
  p->pools[0].addresses = {Ipv4Prefix{Ipv4Address{203, 0, 113, 4}, 30 + variant % 3}};
  p->pools[0].lease.on_expiry = variant % 2 == 0 ? OnExpiry::kHold : OnExpiry::kStop;
  p->dns64.limits.max_ttl_seconds = variant % 60;
  return p;
}

Hello hello(unsigned who) {
  Hello h;
  h.node_id = "n" + std::to_string(who % 3);
  h.machine = "m" + std::to_string(who % 5);
  h.incarnation = std::to_string(who);
  h.boot_id = "b";
  h.kind = who % 7 == 0 ? ServiceKind::kDns64 : ServiceKind::kNat64;
  for (auto& version : h.running) version = {who % 11, who % 13};
  if (who % 2 == 0) h.leases_held = {Ipv4Address{203, 0, 113, static_cast<std::uint8_t>(who % 16)}};
  return h;
}

PolicySteps steps(unsigned variant) {
  PolicySteps out{.target = {policy(variant), nullptr}, .bridge = {}, .interim = {}, .retired = {}};
  out.staged = {variant % 4 != 0, variant % 8 != 0};
  if (variant % 16 > 8) {
    out.bridge = {policy(variant + 1), nullptr};
    out.retired = {{*Ipv6Prefix::parse("64:ff9b::/96"), 96}};
  }
  if (variant % 32 > 16)
    out.interim = {PolicyText{policy(variant + 2), nullptr}, PolicyText{policy(variant + 3), nullptr}};
  return out;
}

void operate(const std::string& node, unsigned what, ControlPlane& plane, TimePoint now) {
  if (what % 3 == 0) return plane.fence({node, "m" + std::to_string(what / 3 % 5)}, now);
  if (what % 3 == 1) return plane.undrain(node, now);
  plane.drain({.node_id = node, .since = {}, .began = {}, .author = "", .comment = ""}, now);
}

// A policy that is on its way is wanted by everyone in one of its editions, and a drained node gets no
// address.
void check_rollout(const ControlPlane& plane) {
  if (plane.policy() == nullptr) return;
  for (const auto& [key, service] : plane.services()) {
    if (plane.rollout().wanted(key) == nullptr) std::abort();
    const auto* drain = plane.drain_of(key.second);
    if (key.first != ServiceKind::kNat64 || drain == nullptr || drain->stage != DrainStage::kReleasing)
      continue;
    for (const auto address : plane.leases().held_by(service.holder())) {
      if (plane.leases().find(address)->state != LeaseState::kWithdrawing) std::abort();
    }
  }
}

// Each address that is told to two nodes as theirs would be a fault: holders are disjoint by the table's own
// index.
void check(const ControlPlane& plane) {
  std::map<Ipv4Address, Holder> seen;
  for (const auto& [holder, addresses] : plane.leases().holders()) {
    for (const auto address : addresses) {
      const auto* lease = plane.leases().find(address);
      if (lease == nullptr || !lease->held() || lease->holder != holder) std::abort();
      if (!seen.emplace(address, holder).second) std::abort();
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  TimePoint now{std::chrono::seconds{1000}};
  ControlPlane plane{Settings{.adopt_grace = Duration{0}}, 5, now};
  for (std::size_t i = 0; i + 1 < size && i < 2000; i += 2) {
    const unsigned what = data[i];
    const unsigned detail = data[i + 1];
    const SessionId session = what >> 4;
    const Ipv4Address address{203, 0, 113, static_cast<std::uint8_t>(detail % 16)};
    const auto resource = static_cast<Resource>(detail % 3);
    now += std::chrono::milliseconds{detail};
    switch (what & 15U) {
      case 0:
        if (detail % 2 == 0) {
          plane.set_policy(policy(detail), now);
        } else {
          plane.set_policy(steps(detail), now);
        }
        break;
      case 1:
      case 2:
        plane.on_hello(session, hello(detail), now);
        break;
      case 3:
      case 4:
        plane.on_ack(session, resource, detail / 3, {5, detail}, now);
        break;
      case 5:
        plane.on_nack(session, resource, detail / 3, {}, static_cast<NackKind>(detail % 2),
                      {{"path", "message"}}, now);
        break;
      case 6:
        plane.on_report(
            session,
            {.serving = detail % 2 == 0, .blocks_used = detail, .blocks_total = 255, .released = {address}},
            now);
        break;
      case 7:
        plane.on_renewal(session, detail, {address}, now);
        break;
      case 8:
        plane.on_goodbye(session, {address}, now);
        break;
      case 9:
        plane.on_closed(session, now);
        break;
      case 10:
        operate("n" + std::to_string(detail % 3), detail, plane, now);
        break;
      case 11:
        now += std::chrono::seconds{detail};
        break;
      default:
        plane.settle(now);
        (void)plane.take();
        check(plane);
        check_rollout(plane);
    }
  }
  return 0;
}
