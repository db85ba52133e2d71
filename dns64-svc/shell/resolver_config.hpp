// SPDX-License-Identifier: Apache-2.0
// A resolver of the policy as the configuration text that libunbound reads. Pure.
#pragma once

#include <string>

#include "common/base/result.hpp"
#include "common/config/policy.hpp"

namespace isthmus::dns64 {

struct UnboundFiles {
  std::string root_hints;  // path of resolver.root_hints as a zone file; empty: none
};

// The error is a sentence: what in the policy libunbound could not be told.
[[nodiscard]] Result<std::string, std::string> unbound_config(const Resolver& resolver,
                                                              const Dns64Limits& limits,
                                                              const UnboundFiles& files);

// resolver.root_hints ("name address" each) as a zone file: NS records of the root with their addresses.
[[nodiscard]] Result<std::string, std::string> root_hints_zone(const Resolver& resolver);

}  // namespace isthmus::dns64
