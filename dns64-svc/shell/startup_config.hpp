// SPDX-License-Identifier: Apache-2.0
// What needs a restart: the command line of dns64-svc.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "common/base/log.hpp"
#include "common/base/result.hpp"
#include "common/control/control_client.hpp"
#include "dns64-svc/shell/server.hpp"

namespace isthmus::dns64 {

struct StartupConfig {
  ServerOptions server{.listen = {"[::1]:53", "127.0.0.1:53"}, .workers = 0};
  std::string controller;
  std::string policy_file;
  std::string node_id;
  std::string state_dir;
  std::string http_listen = "127.0.0.1:9465";
  std::string grpc_listen = "127.0.0.1:7465";  // explain, cache; empty: off
  std::string query_log;                       // file or "-"; empty: off
  std::uint32_t query_log_sample = 1;          // one of so many
  std::string dnstap;                          // "unix:/PATH" or "tcp:ADDRESS:PORT"; empty: off
  std::chrono::milliseconds shutdown_delay{0};
  std::chrono::milliseconds drain_timeout{5000};
  TlsFiles tls;
  LogOptions log;
};

// `exit_now`: nothing is wrong, --help or --version was asked for and `text` is to be printed.
struct CommandLine {
  StartupConfig config;
  bool exit_now = false;
  std::string text;
};

// The error is one sentence with the remedy.
[[nodiscard]] Result<CommandLine, std::string> parse_command_line(int argc, const char* const* argv);

}  // namespace isthmus::dns64
