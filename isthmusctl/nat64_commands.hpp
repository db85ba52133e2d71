// SPDX-License-Identifier: Apache-2.0
// Commands that ask a NAT64 node. Each prints to stdout, errors to stderr as one line with the remedy, and
// returns the exit code: 0 done, 1 asked for something that is not there, 2 could not ask.
#pragma once

#include <string>
#include <vector>

#include "common/control/control_client.hpp"
#include "isthmus/v1/nat64_status.pb.h"
#include "isthmusctl/view.hpp"

namespace isthmus {

struct Nat64Address {
  std::string target;  // host:port of --grpc-listen
  TlsFiles tls;        // all empty: plain text
};

[[nodiscard]] int status_command(const Nat64Address& node, Format format);
// The whole policy that runs, as YAML that a controller would take, or as JSON. Exit code 1: none runs.
[[nodiscard]] int running_policy_command(const Nat64Address& node, Format format);
[[nodiscard]] int mappings_command(const Nat64Address& node, const v1::ListTablesRequest& filter,
                                   Format format);
[[nodiscard]] int sessions_command(const Nat64Address& node, const v1::ListTablesRequest& filter,
                                   Format format);
// An address with port, or the bare address of a client. Exit code 1: nobody has it.
[[nodiscard]] int find_command(const Nat64Address& node, const std::string& endpoint, Format format);
// Exit code 1: the packet would not pass.
[[nodiscard]] int explain_command(const Nat64Address& node, const v1::ExplainPacketRequest& request,
                                  Format format);
// `file` "-" is stdout.
[[nodiscard]] int capture_command(const Nat64Address& node, const v1::CaptureRequest& request,
                                  const std::string& file);

// Reads event files, - for standard input; asks no node. Exit code 1: nobody had it.
[[nodiscard]] int who_had_command(const std::vector<std::string>& files, const std::string& endpoint,
                                  const std::string& at);

}  // namespace isthmus
