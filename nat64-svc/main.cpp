// SPDX-License-Identifier: Apache-2.0
// nat64-svc: flags -> gateway -> feed (controller or file) -> wait for a signal -> leave nothing behind.
#include <signal.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <string>
#include <vector>

#include "common/base/signals.hpp"
#include "common/base/startup_error.hpp"
#include "common/control/control_client.hpp"
#include "common/control/policy_file_feed.hpp"
#include "common/telemetry/health_command.hpp"
#include "common/telemetry/http_endpoint.hpp"
#include "nat64-svc/shell/gateway.hpp"
#include "nat64-svc/shell/metrics.hpp"
#include "nat64-svc/shell/preflight.hpp"
#include "nat64-svc/shell/startup_config.hpp"
#include "nat64-svc/shell/status/status_server.hpp"

namespace {

using namespace isthmus;
using namespace isthmus::nat64;

constexpr const char* kProgram = "nat64-svc";

std::string sentence_of(const std::vector<Violation>& violations) {
  std::string text = "the policy is refused:";
  for (const auto& violation : violations) text += "\n" + violation.path + ": " + violation.message;
  return text;
}

// Where the orders come from: one of the two.
struct Feed {
  std::unique_ptr<ControlClient> controller;
  std::unique_ptr<PolicyFileFeed> file;

  [[nodiscard]] FeedStatus status() const {
    if (controller) return controller->status();
    return file ? file->status() : FeedStatus{};
  }
  [[nodiscard]] Result<void, std::string> start() {
    if (controller) {
      controller->start();
      return {};
    }
    if (auto started = file->start(); !started) return failure(sentence_of(started.error()));
    return {};
  }
  void stop() {
    if (controller) controller->stop(true);
    if (file) file->stop();
  }
};

Feed make_feed(const StartupConfig& config, ServiceHandlers handlers) {
  Feed feed;
  if (!config.policy_file.empty()) {
    feed.file = std::make_unique<PolicyFileFeed>(config.policy_file, std::move(handlers));
    return feed;
  }
  ControlClientOptions options;
  options.controller = config.controller;
  options.node_id = config.node_id;
  options.kind = ControlClientOptions::Kind::kNat64;
  options.build = ISTHMUS_VERSION;
  options.state_dir = config.state_dir;
  if (config.mode == Mode::kNode) options.capabilities = {"node-mode"};
  options.tls = {config.tls_ca, config.tls_certificate, config.tls_key};
  feed.controller = std::make_unique<ControlClient>(std::move(options), std::move(handlers));
  return feed;
}

HttpRoutes http_routes(const Gateway& gateway, const Feed& feed) {
  return {{"/metrics", [&] { return metrics_reply(gateway, feed.status()); }},
          {"/healthz", [] { return HttpReply{200, "text/plain; charset=utf-8", "ok\n"}; }},
          {"/readyz", [&] {
             const auto problem = gateway.not_ready_because();
             return problem.empty()
                        ? HttpReply{200, "text/plain; charset=utf-8", "ready\n"}
                        : HttpReply{503, "text/plain; charset=utf-8", "not ready: " + problem + "\n"};
           }}};
}

Result<void, std::string> start_status(const StartupConfig& config, Gateway& gateway, const Feed& feed,
                                       std::unique_ptr<StatusServer>& status) {
  auto service = std::make_unique<StatusService>(gateway, [&feed] { return feed.status(); }, config.node_id);
  const TlsFiles tls{config.tls_ca, config.tls_certificate, config.tls_key};
  auto server = StatusServer::start(config.grpc_listen, tls, std::move(service));
  if (!server) return failure(server.error());
  status = std::move(*server);
  return {};
}

void wait_for_stop(const StartupConfig& config, Gateway& gateway, StopSignals& signals) {
  if (config.mode == Mode::kNode) {
    spdlog::info("started in node mode: packets come and go by {}", kKernelEnd);
  } else {
    spdlog::info("started: IPv6 on {}, IPv4 on {}", config.interface6, config.interface4);
  }
  auto signal = signals.wait();
  for (; signal == SIGHUP; signal = signals.wait()) {
    spdlog::info("SIGHUP: the file of events is opened again");
    gateway.reopen_events();
  }
  spdlog::info("signal {}: stopping", signal.value_or(0));
  gateway.stop_announcing();
  if (config.drain_timeout.count() == 0) return;
  spdlog::info("translating for {} s more; a second signal ends that", config.drain_timeout.count());
  (void)signals.wait(config.drain_timeout);
}

int run(const StartupConfig& config, StopSignals& signals) {
  if (auto fit = check_machine(); !fit) return startup_error(kProgram, fit.error());
  auto gateway = Gateway::open(config);
  if (!gateway) return startup_error(kProgram, gateway.error());
  auto feed = make_feed(config, (*gateway)->handlers());
  int code = 0;
  {
    // Before the feed: that the port is in use must be known before anything is translated.
    auto http = HttpEndpoint::start(config.http_listen, http_routes(**gateway, feed));
    auto started = http ? Result<void, std::string>{} : Result<void, std::string>(failure(http.error()));
    std::unique_ptr<StatusServer> status;  // ends before the gateway does
    if (started && !config.grpc_listen.empty()) started = start_status(config, **gateway, feed, status);
    if (started) started = feed.start();
    if (started) {
      wait_for_stop(config, **gateway, signals);
    } else {
      code = startup_error(kProgram, started.error());
    }
  }
  // Order: take everything out of the kernel and stop translating, then give the leases back.
  (*gateway)->close();
  feed.stop();
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  if (const auto code = health_command(kProgram, "127.0.0.1:9464", argc, argv)) return *code;
  const auto flags = parse_flags(argc, argv);
  if (flags.exit_code >= 0) {
    if (flags.problem.empty()) return flags.exit_code;
    (void)startup_error(kProgram, flags.problem);
    return flags.exit_code;
  }
  if (auto log = set_up_log(kProgram, flags.config.log); !log) return startup_error(kProgram, log.error());
  StopSignals signals(true);
  return run(flags.config, signals);
}
