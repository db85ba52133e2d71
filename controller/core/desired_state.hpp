// SPDX-License-Identifier: Apache-2.0
// What the operator wants, as numbered versions: who changed it when and why, what it was before, and which
// change is refused because its author had not seen the last one. It comes from one place: a file (GitOps) or
// the Admin API; the other is told so.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "common/base/clock.hpp"
#include "common/base/enum_names.hpp"
#include "common/base/result.hpp"
#include "controller/core/policy_rollout.hpp"

namespace isthmus::controller {

enum class PolicyOrigin : std::uint8_t { kFile, kStore, kCount };
inline constexpr EnumNames<PolicyOrigin> kPolicyOriginNames{{"file", "store"}};

struct PolicyEdit {
  std::uint64_t number = 0;  // 1, 2, ...: what `--if-version` and `rollback` name
  WallTime time;
  std::string author;
  std::string comment;
  PolicyText text;
};

enum class EditFailure : std::uint8_t {
  kReadOnly,
  kConflict,
  kNoSuchVersion,
  kNoRevision,
  kOldRevision,
  kCount
};
inline constexpr EnumNames<EditFailure> kEditFailureNames{
    {"read_only", "conflict", "no_such_version", "no_revision", "old_revision"}};

struct EditRefusal {
  EditFailure kind;
  std::string message;  // a sentence with the remedy
};

class DesiredState {
 public:
  static constexpr std::size_t kKept = 100;  // versions; older ones are forgotten

  // `origin_name`: "file /etc/isthmus/policy.yaml". `revisions`: several controllers read files, so each file
  // must say by `revision` which is newer.
  DesiredState(PolicyOrigin origin, std::string origin_name, bool revisions)
      : origin_(origin), origin_name_(std::move(origin_name)), revisions_(revisions) {}

  // Would this edit be taken? `if_version`: only if that is the newest one.
  [[nodiscard]] Result<void, EditRefusal> check(PolicyOrigin from, const Policy& policy,
                                                std::optional<std::uint64_t> if_version) const;
  // Takes it; gives its number.
  std::uint64_t take(PolicyEdit edit);
  // From the store, oldest first.
  void restore(PolicyEdit edit);

  [[nodiscard]] Result<const PolicyEdit*, EditRefusal> find(std::uint64_t number) const;
  [[nodiscard]] const PolicyEdit* newest() const { return edits_.empty() ? nullptr : &edits_.back(); }
  [[nodiscard]] const std::deque<PolicyEdit>& edits() const { return edits_; }
  [[nodiscard]] PolicyOrigin origin() const { return origin_; }
  [[nodiscard]] const std::string& origin_name() const { return origin_name_; }

 private:
  PolicyOrigin origin_;
  std::string origin_name_;
  bool revisions_;
  std::deque<PolicyEdit> edits_;
};

}  // namespace isthmus::controller
