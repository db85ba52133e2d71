// SPDX-License-Identifier: Apache-2.0
// Which NAT64 nodes may appear in new DNS answers, and by which prefixes.
#include <algorithm>
#include <utility>

#include "controller/core/control_plane.hpp"

namespace isthmus::controller {

void ControlPlane::publish_health() {
  std::set<std::string> good;
  std::set<std::string> left;
  for (const auto& [key, service] : services_) {
    if (key.first != ServiceKind::kNat64) continue;
    const bool leaves = service.left || drains_.contains(key.second);
    if (able(service) && !leaves) good.insert(key.second);
    if (leaves) left.insert(key.second);
  }
  const bool was_held = health_.held();
  HealthySet next;
  for (const auto& node : health_.judge(good, left)) next.nodes.push_back({node, prefixes_in_answers(node)});
  if (policy_.nat64_reached()) next.retired_prefixes = policy_.retired();
  if (health_.held() != was_held) {
    note(health_.held() ? EventKind::kHealthHeld : EventKind::kHealthNormal, "",
         health_.held() ? "more than half of the NAT64 nodes failed at once: DNS answers go on as before"
                        : "the healthy set follows the nodes again");
  }
  if (healthy_set_ != nullptr && *healthy_set_ == next) return;
  healthy_set_ = std::make_shared<const HealthySet>(std::move(next));
  health_version_ = {epoch_, health_version_.counter + 1};
}

// By the names of every policy that a DNS64 service may run now.
std::vector<NodePrefix> ControlPlane::prefixes_in_answers(const std::string& node_id) {
  std::vector<NodePrefix> prefixes;
  for (const auto* text : {&policy_.base(ServiceKind::kDns64), &policy_.next(ServiceKind::kDns64)}) {
    if (text->empty()) continue;
    for (auto& prefix : prefixes_.of(node_id, *text->policy)) {
      if (std::ranges::find(prefixes, prefix) == prefixes.end()) prefixes.push_back(std::move(prefix));
    }
  }
  return prefixes;
}

bool ControlPlane::able(const ServiceRecord& service) const {
  return service.connected() && service.report.serving && service.report.fit &&
         service.rollout[index_of(Resource::kPolicy)].running() != Version{};
}

}  // namespace isthmus::controller
