// SPDX-License-Identifier: Apache-2.0
// dns64-svc: flags -> sockets -> policy feed -> run until a signal.
#include <spdlog/spdlog.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <variant>

#include "common/base/log.hpp"
#include "common/base/signals.hpp"
#include "common/base/startup_error.hpp"
#include "common/control/control_client.hpp"
#include "common/control/policy_file_feed.hpp"
#include "common/telemetry/health_command.hpp"
#include "common/telemetry/http_endpoint.hpp"
#include "dns64-svc/shell/dnstap.hpp"
#include "dns64-svc/shell/metrics.hpp"
#include "dns64-svc/shell/query_log.hpp"
#include "dns64-svc/shell/resolver.hpp"
#include "dns64-svc/shell/server.hpp"
#include "dns64-svc/shell/startup_config.hpp"
#include "dns64-svc/shell/status_service.hpp"
#include "isthmus/v1/control.pb.h"

namespace {

using namespace isthmus;
using namespace isthmus::dns64;

constexpr std::string_view kProgram = "dns64-svc";
constexpr std::chrono::milliseconds kLookAtFiles{1000};  // certificates and secrets

ServiceHandlers handlers_of(Server& server, const std::string& http_listen) {
  ServiceHandlers handlers;
  handlers.on_policy = [&server](std::shared_ptr<const Policy> policy, Version version) -> Applied {
    auto applied = server.apply_policy(std::move(policy));
    if (applied) spdlog::info("policy {} runs", version.to_string());
    return applied;
  };
  handlers.on_health = [&server](const HealthySet& healthy, Version) { return server.apply_health(healthy); };
  handlers.fill_report = [&server, http_listen](v1::Report& report) {
    const auto problem = server.not_ready_because();
    report.set_serving(problem.empty());
    if (!problem.empty()) report.add_problems(problem);
    report.set_metrics_address(http_listen);
    const auto sums = totals(server);
    auto& dns64 = *report.mutable_dns64();
    dns64.set_queries(sums.queries);
    dns64.set_synthesized(sums.synthesized);
    dns64.set_failures(sums.failures);
    dns64.set_cache_bytes(server.cache_stats().bytes);
  };
  return handlers;
}

std::string text_of(const std::vector<Violation>& violations) {
  std::string text;
  for (const auto& violation : violations) {
    if (!text.empty()) text += "; ";
    if (!violation.path.empty()) text += violation.path + ": ";
    text += violation.message;
  }
  return text;
}

// Where orders come from: one of the two, with one face.
class Feed {
 public:
  Feed(const StartupConfig& config, ServiceHandlers handlers) {
    if (!config.policy_file.empty()) {
      file_ = std::make_unique<PolicyFileFeed>(config.policy_file, std::move(handlers));
      return;
    }
    ControlClientOptions options;
    options.controller = config.controller;
    options.node_id = config.node_id;
    options.kind = ControlClientOptions::Kind::kDns64;
    options.build = ISTHMUS_VERSION;
    options.addresses = config.server.listen;
    options.state_dir = config.state_dir;
    options.tls = config.tls;
    client_ = std::make_unique<ControlClient>(std::move(options), std::move(handlers));
  }
  [[nodiscard]] Result<void, std::string> start() {
    if (client_) {
      client_->start();
      return {};
    }
    if (auto started = file_->start(); !started)
      return failure("policy file refused: " + text_of(started.error()));
    return {};
  }
  void stop() {
    if (client_)
      client_->stop(true);
    else
      file_->stop();
  }
  [[nodiscard]] FeedStatus status() const { return client_ ? client_->status() : file_->status(); }

 private:
  std::unique_ptr<ControlClient> client_;
  std::unique_ptr<PolicyFileFeed> file_;
};

HttpRoutes routes_of(const Server& server, const Feed& feed) {
  HttpRoutes routes;
  routes["/metrics"] = [&] { return metrics_reply(server, feed.status()); };
  routes["/healthz"] = [] { return HttpReply{.body = "ok\n"}; };
  routes["/readyz"] = [&] {
    const auto problem = server.not_ready_because();
    return problem.empty() ? HttpReply{.body = "ready\n"} : HttpReply{.status = 503, .body = problem + "\n"};
  };
  return routes;
}

void log_listeners(const ServerOptions& options) {
  for (const auto& address : options.listen) spdlog::info("serving DNS on {} (UDP, TCP)", address);
  for (const auto& address : options.dot_listen) spdlog::info("serving DNS over TLS on {}", address);
  for (const auto& address : options.doh_listen) spdlog::info("serving DNS over HTTPS on {}", address);
  for (const auto& address : options.doh_http_listen)
    spdlog::info("serving DNS over HTTP without TLS on {}", address);
}

// Who looks on: the query log and dnstap, where they are wanted.
Result<std::vector<std::shared_ptr<QueryTaps>>, std::string> taps_of(const StartupConfig& config) {
  std::vector<std::shared_ptr<QueryTaps>> taps;
  if (!config.query_log.empty()) {
    auto log = QueryLog::open(config.query_log, config.query_log_sample);
    if (!log) return failure(log.error());
    taps.push_back(std::move(*log));
  }
  if (!config.dnstap.empty()) {
    auto dnstap = Dnstap::open(config.dnstap, config.node_id, config.server.workers);
    if (!dnstap) return failure(dnstap.error());
    taps.push_back(std::move(*dnstap));
  }
  return taps;
}

// All threads that are started from here on: a policy that is compiled, a scrape, a flush. Where CPU is short
// they wait for the workers, not the clients.
void let_workers_go_first() {
  constexpr int kNicer = 10;
  const int before = getpriority(PRIO_PROCESS, 0);
  (void)setpriority(PRIO_PROCESS, 0, std::min(before + kNicer, 19));  // of this thread alone, on Linux
}

int run(const StartupConfig& config) {
  StopSignals signals;
  auto taps = taps_of(config);
  if (!taps) return startup_error(kProgram, taps.error());
  auto options = config.server;
  options.taps = std::move(*taps);
  if (!config.state_dir.empty()) {
    options.root_anchor.file = config.state_dir + "/root-anchor.key";
    remove_half_written_anchors(options.root_anchor.file);
  }
  auto server = Server::create(options);
  if (!server) return startup_error(kProgram, server.error());
  let_workers_go_first();
  Feed feed{config, handlers_of(**server, config.http_listen)};
  const auto http = HttpEndpoint::start(config.http_listen, routes_of(**server, feed));
  if (!http) return startup_error(kProgram, http.error());
  std::unique_ptr<StatusPort> status;
  if (!config.grpc_listen.empty()) {
    auto opened = StatusPort::open(config.grpc_listen, config.tls, **server);
    if (!opened) return startup_error(kProgram, opened.error());
    status = std::move(*opened);
  }
  if (const auto started = feed.start(); !started) return startup_error(kProgram, started.error());
  log_listeners(config.server);

  std::optional<int> signal;
  while (!(signal = signals.wait(kLookAtFiles))) (*server)->reload_changed_files(boot_now());
  (*server)->announce_stop();
  if (config.shutdown_delay.count() > 0) {
    spdlog::info("signal {}: not ready any more, serving on for {} ms", *signal,
                 config.shutdown_delay.count());
    (void)signals.wait(config.shutdown_delay);  // a second signal ends the wait
  }
  spdlog::info("signal {}: draining for at most {} ms", *signal, config.drain_timeout.count());
  feed.stop();  // first: what it applies needs the workers
  status.reset();
  (*server)->stop(config.drain_timeout);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (const auto code = health_command(kProgram, "127.0.0.1:9465", argc, argv)) return *code;
    const auto line = parse_command_line(argc, argv);
    if (!line) return startup_error(kProgram, line.error());
    if (line->exit_now) {
      std::fputs(line->text.c_str(), stdout);
      return 0;
    }
    if (const auto log = set_up_log(kProgram, line->config.log); !log)
      return startup_error(kProgram, log.error());
    return run(line->config);
  } catch (const std::exception& error) {
    return startup_error(kProgram, error.what());
  }
}
