// SPDX-License-Identifier: Apache-2.0
// What needs a restart to change: command-line flags. Everything else comes with the policy.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "common/base/log.hpp"
#include "nat64-svc/shell/xsk/steering.hpp"

namespace isthmus::nat64 {

enum class Mode : std::uint8_t { kGateway, kNode, kCount };
inline constexpr EnumNames<Mode> kModeNames{{"gateway", "node"}};

struct StartupConfig {
  Mode mode = Mode::kGateway;
  std::string interface6;  // the clients' side; node mode makes its own
  std::string interface4;  // the IPv4 internet's side; may be the same
  std::string controller;  // host:port; either this or policy_file
  std::string policy_file;
  std::string node_id;
  std::string state_dir;
  std::string http_listen = "127.0.0.1:9464";
  std::string grpc_listen = "127.0.0.1:9465";  // the status service; empty: none
  std::chrono::seconds drain_timeout{0};
  XdpMode xdp_mode = XdpMode::kAuto;
  std::uint32_t busy_poll = 0;
  bool answer_arp = false;       // gateway mode
  bool announce_routes = false;  // gateway mode
  std::uint16_t workers = 1;
  std::uint32_t max_sessions = 1U << 20;  // per worker
  std::string events;                     // file of event records, "-" for stdout; empty: none
  std::string events_syslog;              // "unix:PATH", "udp:HOST:PORT", "tcp:HOST:PORT"; empty: none
  std::string tls_ca, tls_certificate, tls_key;
  LogOptions log;

  // Of each worker's table: one for 16 sessions, at least 65536, and no more than there can be.
  [[nodiscard]] std::uint32_t max_subscribers() const {
    return std::min(max_sessions, std::max(1U << 16, max_sessions / 16));
  }
  [[nodiscard]] bool one_interface() const { return interface6 == interface4; }
};

struct ParsedFlags {
  StartupConfig config;
  int exit_code = -1;   // 0 or more: leave with it, after printing `problem` when it is not empty
  std::string problem;  // a sentence with the remedy
};

// --help and --version print and ask to exit with 0.
[[nodiscard]] ParsedFlags parse_flags(int argc, char** argv);

}  // namespace isthmus::nat64
