// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/startup_config.hpp"

#include <unistd.h>

#include <iostream>

#include <CLI/CLI.hpp>

namespace isthmus::nat64 {
namespace {

std::string host_name() {
  char name[256] = {};
  return gethostname(name, sizeof name - 1) == 0 ? name : "";
}

std::string contradiction(const StartupConfig& config) {
  const bool both = !config.interface6.empty() && !config.interface4.empty();
  const bool none = config.interface6.empty() && config.interface4.empty();
  if (config.mode == Mode::kGateway && !both)
    return "gateway mode needs --interface6 and --interface4 (one name for both is fine)";
  if (config.mode == Mode::kNode && !none)
    return "node mode makes its own interfaces: leave --interface6 and --interface4 away";
  if (config.mode == Mode::kNode && (config.answer_arp || config.announce_routes))
    return "--answer-arp and --announce-routes are for gateway mode: nobody but this node knows its pool";
  if (config.controller.empty() == config.policy_file.empty()) {
    return "give either --controller host:port or --policy-file FILE, not " +
           std::string(config.controller.empty() ? "neither" : "both");
  }
  if (config.node_id.empty()) return "the machine has no host name: give --node-id NAME";
  if (config.tls_certificate.empty() != config.tls_key.empty()) {
    return "--tls-certificate and --tls-key go together: give both";
  }
  return {};
}

}  // namespace

ParsedFlags parse_flags(int argc, char** argv) {
  ParsedFlags parsed;
  auto& config = parsed.config;
  config.node_id = host_name();
  std::string mode = "gateway";
  std::string xdp_mode = "auto";
  int drain_seconds = 0;

  CLI::App app("Isthmus NAT64: translates between IPv6 clients and IPv4 servers on AF_XDP sockets");
  app.set_version_flag("--version", "nat64-svc " ISTHMUS_VERSION);
  app.add_option(
         "--mode", mode,
         "gateway: between interfaces that are there; node: for this node's own pods, behind its masquerade")
      ->check(CLI::IsMember({"gateway", "node"}))
      ->capture_default_str();
  app.add_option("--interface6", config.interface6, "gateway mode: interface of the IPv6 side");
  app.add_option("--interface4", config.interface4,
                 "gateway mode: interface of the IPv4 side; may be the same");
  app.add_option("--controller", config.controller, "controller's host:port");
  app.add_option("--policy-file", config.policy_file, "run alone with this policy (YAML)");
  app.add_option("--node-id", config.node_id, "name of this node, stable across restarts")
      ->capture_default_str();
  app.add_option("--state-dir", config.state_dir, "directory for the last good state; none: nothing is kept");
  app.add_option("--http-listen", config.http_listen, "address:port of /metrics, /healthz, /readyz")
      ->capture_default_str();
  app.add_option("--grpc-listen", config.grpc_listen,
                 "address:port of the read-only status service for isthmusctl; \"\" for none")
      ->capture_default_str();
  app.add_option("--drain-timeout", drain_seconds, "seconds to go on translating after SIGTERM")
      ->check(CLI::Range(0, 86400))
      ->capture_default_str();
  app.add_option("--xdp-mode", xdp_mode, "auto, native or generic")
      ->check(CLI::IsMember({"auto", "native", "generic"}))
      ->capture_default_str();
  app.add_option("--busy-poll", config.busy_poll,
                 "poll without sleeping, this many packets at a time; 0: sleep")
      ->check(CLI::Range(0, 4096))
      ->capture_default_str();
  app.add_flag("--answer-arp", config.answer_arp,
               "gateway mode: answer ARP for the pool addresses on --interface4 and announce new ones");
  app.add_flag(
      "--announce-routes", config.announce_routes,
      "gateway mode: routes for a routing daemon, which vanish with this process (by interface isthmus0)");
  app.add_option("--workers", config.workers, "threads; at most the queues of each interface")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  app.add_option("--max-sessions", config.max_sessions,
                 "size of each worker's session table; its table of subscribers has a 16th of it, at "
                 "least 65536 (but never more than this)")
      ->check(CLI::Range(1024, 1 << 28))
      ->capture_default_str();
  app.add_option("--events", config.events, "append event records (JSON lines) to this file; - for stdout");
  app.add_option("--events-syslog", config.events_syslog,
                 "send event records to syslog (RFC 5424): unix:/dev/log, udp:HOST:PORT or tcp:HOST:PORT");
  app.add_option("--tls-ca", config.tls_ca, "PEM file: who may sign the controller's certificate");
  app.add_option("--tls-certificate", config.tls_certificate, "PEM file: this node's certificate");
  app.add_option("--tls-key", config.tls_key, "PEM file: its key");
  app.add_option("--log-level", config.log.level, "trace, debug, info, warning, error")
      ->capture_default_str();
  app.add_option("--log-format", config.log.format, "text or json")->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {  // --help, --version
    parsed.exit_code = app.exit(success, std::cout, std::cerr);
    return parsed;
  } catch (const CLI::ParseError& error) {
    parsed.exit_code = 2;
    parsed.problem = std::string(error.what()) + ": see nat64-svc --help";
    return parsed;
  }
  config.drain_timeout = std::chrono::seconds{drain_seconds};
  config.mode = kModeNames.find(mode).value_or(Mode::kGateway);
  config.xdp_mode = kXdpModeNames.find(xdp_mode).value_or(XdpMode::kAuto);
  parsed.problem = contradiction(config);
  if (!parsed.problem.empty()) parsed.exit_code = 2;
  return parsed;
}

}  // namespace isthmus::nat64
