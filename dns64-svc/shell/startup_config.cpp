// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/shell/startup_config.hpp"

#include <unistd.h>

#include <algorithm>
#include <thread>

#include <CLI/CLI.hpp>

namespace isthmus::dns64 {

namespace {

std::string host_name() {
  char name[256] = "";
  if (gethostname(name, sizeof name - 1) != 0) return "dns64";
  return name;
}

}  // namespace

Result<CommandLine, std::string> parse_command_line(int argc, const char* const* argv) {
  CommandLine line;
  auto& config = line.config;
  config.node_id = host_name();
  double drain_seconds = 5;
  CLI::App app{"dns64-svc: DNS resolver that synthesizes AAAA records for NAT64 (RFC 6147)", "dns64-svc"};
  app.set_version_flag("--version", "dns64-svc " ISTHMUS_VERSION);
  app.add_option("--listen", config.listen, "address:port for UDP and TCP; may be repeated")
      ->capture_default_str();
  app.add_option("--workers", config.workers, "threads; 0: one per core")
      ->capture_default_str()
      ->check(CLI::Range(0U, 256U));
  app.add_option("--controller", config.controller, "controller's host:port");
  app.add_option("--policy-file", config.policy_file, "run alone with this policy (YAML)");
  app.add_option("--node-id", config.node_id, "name of this node, stable across restarts")
      ->capture_default_str();
  app.add_option("--state-dir", config.state_dir, "directory for the last good state; none: nothing is kept");
  app.add_option("--http-listen", config.http_listen, "address:port of /metrics, /healthz, /readyz")
      ->capture_default_str();
  app.add_option("--grpc-listen", config.grpc_listen,
                 "address:port where isthmusctl may ask for explanations and the cache; \"\" for none")
      ->capture_default_str();
  app.add_option("--query-log", config.query_log, "file for one JSON line per query, - for standard output");
  app.add_option("--query-log-sample", config.query_log_sample, "log one query of so many")
      ->capture_default_str()
      ->check(CLI::Range(1U, 1000000U));
  app.add_option("--dnstap", config.dnstap, "send every query and reply to unix:/PATH or tcp:ADDRESS:PORT");
  app.add_option("--drain-timeout", drain_seconds, "seconds that queries in work may take after SIGTERM")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 3600.0));
  app.add_option("--tls-ca", config.tls.ca, "PEM file: who may sign the controller's certificate");
  app.add_option("--tls-certificate", config.tls.certificate, "PEM file: this node's certificate");
  app.add_option("--tls-key", config.tls.key, "PEM file: its key");
  app.add_option("--log-level", config.log.level, "trace, debug, info, warning, error")
      ->capture_default_str();
  app.add_option("--log-format", config.log.format, "text or json")->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    line.exit_now = true;
    line.text = app.help();
    return line;
  } catch (const CLI::CallForVersion& version) {
    line.exit_now = true;
    line.text = std::string{version.what()} + "\n";
    return line;
  } catch (const CLI::ParseError& error) {
    return failure(std::string{error.what()} + ": see dns64-svc --help");
  }
  if (config.controller.empty() == config.policy_file.empty())
    return failure(std::string{"give either --controller HOST:PORT or --policy-file FILE"});
  if (config.workers == 0) config.workers = std::max(1U, std::thread::hardware_concurrency());
  config.drain_timeout = std::chrono::milliseconds{static_cast<std::int64_t>(drain_seconds * 1000)};
  return line;
}

}  // namespace isthmus::dns64
