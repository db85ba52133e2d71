// SPDX-License-Identifier: Apache-2.0
// A resolver of the policy as the configuration text that libunbound reads. Pure.
#pragma once

#include <string>

#include "common/base/result.hpp"
#include "common/config/policy.hpp"

namespace isthmus::dns64 {

// A name that every context answers by itself, whatever its resolver's zones are.
inline constexpr const char* kStartName = "start.isthmus.invalid.";

// Where libunbound keeps the root's keys as they roll (RFC 5011).
struct RootAnchor {
  std::string file = {};            // empty: the built-in anchors as they are
  std::uint32_t lab_hold_down = 0;  // seconds in place of the RFC's 30 days, for tests; 0: the RFC's
};

struct UnboundFiles {
  std::string root_hints = {};  // path of resolver.root_hints as a zone file; empty: none
  RootAnchor root_anchor = {};
};

// The error is a sentence: what in the policy libunbound could not be told.
[[nodiscard]] Result<std::string, std::string> unbound_config(const Resolver& resolver,
                                                              const Dns64Limits& limits,
                                                              const UnboundFiles& files);

// Contexts made with these two are told the same: a change of the other limits needs no new ones.
[[nodiscard]] bool alike_in_config(const Dns64Limits& a, const Dns64Limits& b);

// The built-in anchors of the root, as the first content of RootAnchor::file.
[[nodiscard]] std::string built_in_root_anchors();

// resolver.root_hints ("name address" each) as a zone file: NS records of the root with their addresses.
[[nodiscard]] Result<std::string, std::string> root_hints_zone(const Resolver& resolver);

}  // namespace isthmus::dns64
