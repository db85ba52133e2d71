// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/shell/startup_config.hpp"

#include <unistd.h>

#include <algorithm>
#include <thread>
#include <tuple>

#include <CLI/CLI.hpp>

namespace isthmus::dns64 {

namespace {

std::string host_name() {
  char name[256] = "";
  if (gethostname(name, sizeof name - 1) != 0) return "dns64";
  return name;
}

// Seconds as an operator writes them, "0.5" too.
struct Seconds {
  double drain = 5;
  double shutdown_delay = 0;
  double idle = 10;
};

std::chrono::milliseconds milliseconds_of(double seconds) {
  return std::chrono::milliseconds{static_cast<std::int64_t>(seconds * 1000)};
}

void add_listeners(CLI::App& app, ServerOptions& server) {
  app.add_option("--listen", server.listen, "address:port for UDP and TCP; may be repeated")
      ->capture_default_str();
  app.add_option("--dot-listen", server.dot_listen,
                 "address:port for DNS over TLS (RFC 7858); may be repeated");
  app.add_option("--doh-listen", server.doh_listen,
                 "address:port for DNS over HTTPS (RFC 8484) at /dns-query; may be repeated");
  app.add_option("--doh-http-listen", server.doh_http_listen,
                 "loopback address:port for the same without TLS, behind a proxy here that ends TLS");
  app.add_option(
      "--dns-certificate", server.certificate,
      "PEM file: certificate and chain for --dot-listen and --doh-listen; a changed file is taken up");
  app.add_option("--dns-key", server.key, "PEM file: its key");
}

void add_clients(CLI::App& app, StartupConfig& config, Seconds& seconds, std::vector<std::string>& proxies,
                 std::vector<std::string>& forwarders) {
  auto& server = config.server;
  app.add_option("--proxy-from", proxies,
                 "address or prefix of load balancers that send a PROXY v2 header first; may be repeated");
  app.add_option(
      "--ecs-from", forwarders,
      "address or prefix of forwarders whose client subnet (RFC 7871) stands for the client; may be "
      "repeated");
  app.add_option("--cookie-secrets", server.cookie_secrets,
                 "file of DNS cookie secrets (RFC 9018) that all replicas share; none: a random one");
  app.add_option("--max-connections", server.streams.max_connections, "connections of clients in all")
      ->capture_default_str()
      ->check(CLI::Range(1U, 1000000U));
  app.add_option("--max-connections-per-client", server.streams.max_per_client,
                 "connections of one client (an IPv6 client is its /64) to one worker")
      ->capture_default_str()
      ->check(CLI::Range(1U, 1000000U));
  app.add_option("--responses-per-second", server.responses_per_second,
                 "equal responses over UDP towards one network (/56, /24); 0: no limit")
      ->capture_default_str();
  app.add_option("--idle-timeout", seconds.idle, "seconds that a connection may stay without a request")
      ->capture_default_str()
      ->check(CLI::Range(0.1, 3600.0));
}

// What the parser cannot see: flags that need each other.
Result<void, std::string> check(const StartupConfig& config) {
  const auto& server = config.server;
  if (config.controller.empty() == config.policy_file.empty())
    return failure(std::string{"give either --controller HOST:PORT or --policy-file FILE"});
  const bool encrypted = !server.dot_listen.empty() || !server.doh_listen.empty();
  if (encrypted && (server.certificate.empty() || server.key.empty()))
    return failure(std::string{"--dot-listen and --doh-listen need --dns-certificate and --dns-key"});
  if (server.certificate.empty() != server.key.empty())
    return failure(std::string{"--dns-certificate and --dns-key belong together"});
  for (const auto& text : server.doh_http_listen) {
    const auto address = SocketAddress::parse(text);
    if (!address) return failure(address.error());
    if (!address->is_loopback())
      return failure("--doh-http-listen " + text +
                     ": without TLS only on a loopback address: clients would be overheard");
  }
  return {};
}

}  // namespace

Result<CommandLine, std::string> parse_command_line(int argc, const char* const* argv) {
  CommandLine line;
  auto& config = line.config;
  config.node_id = host_name();
  Seconds seconds;
  std::vector<std::string> proxies;
  std::vector<std::string> forwarders;
  CLI::App app{"dns64-svc: DNS resolver that synthesizes AAAA records for NAT64 (RFC 6147)", "dns64-svc"};
  app.set_version_flag("--version", "dns64-svc " ISTHMUS_VERSION);
  add_listeners(app, config.server);
  app.add_option("--workers", config.server.workers, "threads; 0: one per core")
      ->capture_default_str()
      ->check(CLI::Range(0U, 256U));
  app.add_option("--controller", config.controller, "controller's host:port");
  app.add_option("--policy-file", config.policy_file, "run alone with this policy (YAML)");
  app.add_option("--node-id", config.node_id, "name of this node, stable across restarts")
      ->capture_default_str();
  auto* state_dir = app.add_option("--state-dir", config.state_dir,
                                   "directory for the last good state; none: nothing is kept");
  app.add_option("--lab-anchor-hold-down", config.server.root_anchor.lab_hold_down,
                 "for tests: seconds that a new key of the root must be seen, in place of 30 days (RFC 5011)")
      ->check(CLI::Range(1U, 2592000U))
      ->needs(state_dir);
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
  app.add_option("--shutdown-delay", seconds.shutdown_delay,
                 "seconds after SIGTERM in which all are served still, while /readyz says no")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 3600.0));
  app.add_option("--drain-timeout", seconds.drain, "seconds that queries in work may take after that")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 3600.0));
  add_clients(app, config, seconds, proxies, forwarders);
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
  if (const auto good = check(config); !good) return failure(good.error());
  for (const auto& [flag, texts, list] : {std::tuple{"--proxy-from", &proxies, &config.server.proxies},
                                          std::tuple{"--ecs-from", &forwarders, &config.server.forwarders}}) {
    auto parsed = AddressList::parse(*texts);
    if (!parsed) return failure(flag + (": " + parsed.error()));
    *list = std::move(*parsed);
  }
  if (config.server.workers == 0) config.server.workers = std::max(1U, std::thread::hardware_concurrency());
  config.shutdown_delay = milliseconds_of(seconds.shutdown_delay);
  config.drain_timeout = milliseconds_of(seconds.drain);
  config.server.streams.idle = milliseconds_of(seconds.idle);
  return line;
}

}  // namespace isthmus::dns64
