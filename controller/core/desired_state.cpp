// SPDX-License-Identifier: Apache-2.0
#include "controller/core/desired_state.hpp"

#include <utility>

namespace isthmus::controller {
namespace {

auto refused(EditFailure kind, std::string message) {
  return failure(EditRefusal{kind, std::move(message)});
}

}  // namespace

Result<void, EditRefusal> DesiredState::check(PolicyOrigin from, const Policy& policy,
                                              std::optional<std::uint64_t> if_version) const {
  if (from != origin_) {
    return refused(EditFailure::kReadOnly,
                   origin_ == PolicyOrigin::kFile
                       ? "the policy comes from " + origin_name_ +
                             ": change it there, or start the controller with --policy-from store"
                       : "the policy is kept in the store: change it with isthmusctl apply");
  }
  const std::uint64_t now = edits_.empty() ? 0 : edits_.back().number;
  if (if_version && *if_version != now) {
    std::string whose;
    if (now > 0) whose = " (" + edits_.back().author + ": " + edits_.back().comment + ")";
    return refused(EditFailure::kConflict, "the policy is at version " + std::to_string(now) + whose +
                                               ", not " + std::to_string(*if_version) +
                                               ": look at isthmusctl diff, then apply with --if-version " +
                                               std::to_string(now));
  }
  if (from != PolicyOrigin::kFile) return {};
  if (revisions_ && policy.revision == 0) {
    return refused(EditFailure::kNoRevision,
                   "revision: required when several controllers read files: count it up with each change");
  }
  const std::uint64_t before = edits_.empty() ? 0 : edits_.back().text.policy->revision;
  if (policy.revision < before || (revisions_ && !edits_.empty() && policy.revision == before)) {
    return refused(EditFailure::kOldRevision, "revision: " + std::to_string(policy.revision) +
                                                  " is not newer than " + std::to_string(before) +
                                                  ", which runs: write " + std::to_string(before + 1) +
                                                  " or more");
  }
  return {};
}

std::uint64_t DesiredState::take(PolicyEdit edit) {
  edit.number = edits_.empty() ? 1 : edits_.back().number + 1;
  edits_.push_back(std::move(edit));
  if (edits_.size() > kKept) edits_.pop_front();
  return edits_.back().number;
}

void DesiredState::restore(PolicyEdit edit) {
  if (!edits_.empty() && edit.number <= edits_.back().number) return;
  edits_.push_back(std::move(edit));
  if (edits_.size() > kKept) edits_.pop_front();
}

Result<const PolicyEdit*, EditRefusal> DesiredState::find(std::uint64_t number) const {
  for (const auto& edit : edits_) {
    if (edit.number == number) return &edit;
  }
  const auto range = edits_.empty() ? std::string{"there are none yet"}
                                    : "there are " + std::to_string(edits_.front().number) + " to " +
                                          std::to_string(edits_.back().number);
  return refused(EditFailure::kNoSuchVersion,
                 "no policy version " + std::to_string(number) + ": " + range + " (isthmusctl history)");
}

}  // namespace isthmus::controller
