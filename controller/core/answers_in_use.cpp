// SPDX-License-Identifier: Apache-2.0
#include "controller/core/answers_in_use.hpp"

#include <algorithm>

namespace isthmus::controller {

Duration answers_live(const Policy& policy, Assignment assignment) {
  if (assignment == Assignment::kShared)
    return std::chrono::seconds{policy.dns64.limits.max_ttl_seconds};  // ipv4only.arpa keeps to it, too
  Duration longest{};
  const bool steered = std::ranges::find(policy.translation_prefixes, Assignment::kPerNode,
                                         &TranslationPrefix::assignment) != policy.translation_prefixes.end();
  if (!steered) return longest;
  for (const auto& view : policy.dns64.views) longest = std::max(longest, view.steering_ttl);
  return longest;
}

void AnswersInUse::may_run(const Policy& policy) {
  shared_.running = std::max(shared_.running, answers_live(policy, Assignment::kShared));
  per_node_.running = std::max(per_node_.running, answers_live(policy, Assignment::kPerNode));
}

void AnswersInUse::all_run(TimePoint now) {
  for (auto* kind : {&shared_, &per_node_}) {
    kind->until = std::max(kind->until, now + kind->running);
    kind->running = {};
  }
}

}  // namespace isthmus::controller
