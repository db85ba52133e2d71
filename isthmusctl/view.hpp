// SPDX-License-Identifier: Apache-2.0
// What isthmusctl prints, as pure functions of the controller's answers. `now` is Unix time in seconds.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/policy.hpp"
#include "isthmus/v1/admin.pb.h"

namespace isthmus {

enum class Format { kTable, kWide, kJson, kYaml };
[[nodiscard]] std::optional<Format> parse_format(std::string_view text);

[[nodiscard]] std::string show(const v1::GetPolicyResponse& answer, Format format, std::int64_t now);
[[nodiscard]] std::string show(const v1::ListNodesResponse& answer, Format format, std::int64_t now);
[[nodiscard]] std::string show(const v1::ListLeasesResponse& answer, Format format, std::int64_t now);

// Any message, indented; fields by their proto names, defaults included.
[[nodiscard]] std::string to_json(const google::protobuf::Message& message);

// Differences: "path: before -> after", "+ path: after", "- path: before".
[[nodiscard]] std::string show(const google::protobuf::RepeatedPtrField<v1::FieldChange>& changes);
[[nodiscard]] std::string show(const v1::DiffResponse& answer, Format format);
[[nodiscard]] std::string show(const v1::HistoryResponse& answer, Format format, std::int64_t now);
// All that is known about one node, for people.
[[nodiscard]] std::string describe(const v1::Node& node, std::int64_t now);

// One line each: "path: message".
[[nodiscard]] std::string show(const std::vector<Violation>& violations);

// Where the policy is on its way, as a sentence; empty: it is through.
[[nodiscard]] std::string rollout_text(const v1::RolloutStatus& rollout, std::int64_t now);

// "3s", "5m12s", "2h5m", "4d3h": at most two units.
[[nodiscard]] std::string ago(std::int64_t seconds);

// One line each; the odd ones are marked. JSON: one object a line.
[[nodiscard]] std::string show(const v1::ListEventsResponse& answer, Format format);

[[nodiscard]] std::string show(const v1::LeaseHistoryResponse& answer, Format format);

}  // namespace isthmus
