// SPDX-License-Identifier: Apache-2.0
// Commands that ask a dns64-svc at its --grpc-listen. Exit codes as in commands.hpp.
#pragma once

#include <cstdint>
#include <string>

#include "isthmusctl/commands.hpp"

namespace isthmus {

struct ExplainDns {
  std::string name;
  std::string type = "AAAA";
  std::string client;
  bool dnssec_ok = false;
  bool checking_disabled = false;
};

[[nodiscard]] int explain_dns_command(const ControllerAddress& dns64, const ExplainDns& question, bool json);
[[nodiscard]] int dump_cache_command(const ControllerAddress& dns64, const std::string& under,
                                     std::uint32_t limit, bool json);

struct FlushCache {
  std::string name;
  std::string subtree;
  bool everything = false;
};
[[nodiscard]] int flush_cache_command(const ControllerAddress& dns64, const FlushCache& what);

}  // namespace isthmus
