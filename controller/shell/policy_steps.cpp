// SPDX-License-Identifier: Apache-2.0
#include "controller/shell/policy_steps.hpp"

#include <algorithm>

#include "common/config/from_proto.hpp"

namespace isthmus::controller {
namespace {

// What cannot break on its way goes to everyone at once; these may.
bool staged_for_nat64(const Policy& a, const Policy& b) {
  return a.translation_prefixes != b.translation_prefixes || a.pools != b.pools ||
         a.static_mappings != b.static_mappings || a.nat64 != b.nat64;
}

bool staged_for_dns64(const Policy& a, const Policy& b) {
  return a.translation_prefixes != b.translation_prefixes || a.dns64 != b.dns64;
}

Result<PolicyText, std::vector<Violation>> text_of(v1::Policy wire) {
  auto policy = from_proto(wire);
  if (!policy) return failure(std::move(policy.error()));
  return PolicyText{std::make_shared<const Policy>(std::move(*policy)),
                    std::make_shared<const v1::Policy>(std::move(wire))};
}

Result<PolicyText, std::vector<Violation>> with_exclusions_of(const PolicyText& base,
                                                              const PolicyText& target) {
  v1::Policy wire = *base.wire;
  *wire.mutable_exclusions() = target.wire->exclusions();
  return text_of(std::move(wire));
}

bool has(const v1::Policy& policy, const std::string& prefix_name) {
  return std::ranges::any_of(policy.translation_prefixes(),
                             [&](const auto& prefix) { return prefix.name() == prefix_name; });
}

// Adds to the bridge what `running` translates and the target does not.
void keep_prefixes(const PolicyText& running, const PolicyText& target, v1::Policy& bridge,
                   PolicySteps& steps) {
  for (std::size_t i = 0; i < running.policy->translation_prefixes.size(); ++i) {
    const auto& prefix = running.policy->translation_prefixes[i];
    const auto kept = [&](const TranslationPrefix& other) {
      return other.prefix == prefix.prefix && other.assignment == prefix.assignment;
    };
    const bool known =
        std::ranges::find(steps.retired, prefix.prefix, &RetiredPrefix::prefix) != steps.retired.end();
    if (known || std::ranges::any_of(target.policy->translation_prefixes, kept)) continue;
    auto& copy = *bridge.add_translation_prefixes();
    copy = running.wire->translation_prefixes(static_cast<int>(i));
    if (has(*target.wire, copy.name())) copy.set_name(copy.name().substr(0, 50) + "-goes");
    steps.retired.push_back({prefix.prefix, prefix.embed_length()});
  }
}

}  // namespace

Result<PolicySteps, std::vector<Violation>> plan_steps(const PolicyText& nat64, const PolicyText& dns64,
                                                       const PolicyText& target) {
  PolicySteps steps{.target = target, .bridge = {}, .interim = {}, .retired = {}};
  if (nat64.empty() || dns64.empty()) return steps;
  const PerKind<const PolicyText*> running{&dns64, &nat64};
  steps.staged = {staged_for_dns64(*dns64.policy, *target.policy),
                  staged_for_nat64(*nat64.policy, *target.policy)};
  for (std::size_t kind = 0; kind < running.size(); ++kind) {
    if (!steps.staged[kind] || running[kind]->policy->exclusions == target.policy->exclusions) continue;
    auto interim = with_exclusions_of(*running[kind], target);
    if (!interim) return failure(std::move(interim.error()));
    steps.interim[kind] = std::move(*interim);
  }
  v1::Policy bridge = *target.wire;
  keep_prefixes(nat64, target, bridge, steps);
  keep_prefixes(dns64, target, bridge, steps);
  if (steps.retired.empty()) return steps;
  auto text = text_of(std::move(bridge));
  if (!text) {
    std::vector<Violation> why = std::move(text.error());
    for (auto& violation : why) {
      violation.message +=
          "; old and new prefixes are translated side by side while answers move: make the "
          "change in two steps";
    }
    return failure(std::move(why));
  }
  steps.bridge = std::move(*text);
  return steps;
}

}  // namespace isthmus::controller
