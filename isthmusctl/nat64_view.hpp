// SPDX-License-Identifier: Apache-2.0
// What isthmusctl prints of a NAT64 node, as pure functions of its answers.
#pragma once

#include <string>
#include <vector>

#include "isthmus/v1/nat64_status.pb.h"
#include "isthmusctl/view.hpp"

namespace isthmus {

[[nodiscard]] std::string show(const v1::GetNat64StatusResponse& answer, Format format);
// YAML that reads back as a policy, its version in a comment.
[[nodiscard]] std::string show(const v1::RunningPolicy& answer, Format format);
[[nodiscard]] std::string show(const v1::MappingChunk& all, Format format);
[[nodiscard]] std::string show(const v1::SessionChunk& all, Format format);
[[nodiscard]] std::string show(const v1::FindResponse& answer, const std::string& endpoint, Format format);
[[nodiscard]] std::string show(const v1::ExplainPacketResponse& answer, Format format);

}  // namespace isthmus
