// SPDX-License-Identifier: Apache-2.0
// isthmus-controller: flags -> wire up -> wait for a signal.
#include <grpc/support/log.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>

#include "common/base/log.hpp"
#include "common/base/signals.hpp"
#include "common/base/startup_error.hpp"
#include "common/control/tls_credentials.hpp"
#include "common/net/host_port.hpp"
#include "common/net/ipv4_address.hpp"
#include "common/net/ipv6_address.hpp"
#include "common/telemetry/http_endpoint.hpp"
#include "controller/shell/admin_service.hpp"
#include "controller/shell/caller.hpp"
#include "controller/shell/control_service.hpp"
#include "controller/shell/metrics.hpp"
#include "controller/shell/policy_source.hpp"
#include "controller/shell/rest.hpp"

namespace {

using namespace isthmus;

constexpr std::string_view kProgram = "isthmus-controller";
constexpr int kMaxMessageBytes = 32 << 20;

struct Options {
  std::string policy_file;
  std::string grpc_listen = "127.0.0.1:7400";
  std::string http_listen = "127.0.0.1:9400";
  std::string rest_listen;
  TlsFiles tls;
  bool allow_plaintext = false;
  double adopt_grace = 15;
  LogOptions log;
};

bool is_loopback(const std::string& host) {
  if (const auto v4 = Ipv4Address::parse(host)) return v4->value() >> 24 == 127;
  if (const auto v6 = Ipv6Address::parse(host)) return v6->is_loopback();
  return host == "localhost";
}

std::string refusal_of(const std::vector<Violation>& violations, const std::string& file) {
  std::string text = "policy file " + file + " is refused";
  for (const auto& v : violations) text += (v.path == file ? ": " : ": " + v.path + ": ") + v.message;
  return text;
}

// What gRPC has to say about itself is for its developers; our own lines tell operators what is wrong.
void quiet_grpc() {
  gpr_set_log_function([](gpr_log_func_args* line) { spdlog::debug("grpc: {}", line->message); });
}

std::unique_ptr<grpc::Server> start_grpc(const Options& options,
                                         std::shared_ptr<grpc::ServerCredentials> credentials,
                                         controller::ControlService& control,
                                         controller::AdminService& admin) {
  quiet_grpc();
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(options.grpc_listen, std::move(credentials), &port);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT,
                             0);  // a second controller on the port must fail, not share it
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 5000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 10000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5000);
  builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
  builder.SetMaxSendMessageSize(kMaxMessageBytes);
  builder.RegisterService(&control);
  builder.RegisterService(&admin);
  auto server = builder.BuildAndStart();
  return port == 0 ? nullptr : std::move(server);
}

// The Admin API as REST; nothing without --rest-listen.
Result<std::unique_ptr<HttpEndpoint>, std::string> start_rest(const Options& options, grpc::Server& server) {
  if (options.rest_listen.empty()) return nullptr;
  return HttpEndpoint::start(options.rest_listen,
                             controller::rest_handler(server.InProcessChannel({}), ISTHMUS_VERSION),
                             kMaxMessageBytes, {options.tls.ca, options.tls.certificate, options.tls.key});
}

// The error of an address that plain text would leave open to everyone.
std::optional<std::string> open_to_everyone(const char* flag, const std::string& address,
                                            const Options& options) {
  const auto listen = parse_host_port(address);
  if (!listen) return std::string{flag} + " " + address + " is not host:port";
  const bool tls = !options.tls.ca.empty() || !options.tls.certificate.empty() || !options.tls.key.empty();
  if (tls || is_loopback(listen->host) || options.allow_plaintext) return std::nullopt;
  return std::string{flag} + " " + address +
         " is reachable from outside without TLS: give --tls-ca, --tls-certificate and --tls-key, listen on "
         "127.0.0.1, or "
         "accept it with --allow-plaintext on a network you trust";
}

int run(const Options& options) {
  if (options.policy_file.empty())
    return startup_error(kProgram, "--policy-file is required: give it a policy in YAML");
  if (const auto open = open_to_everyone("--grpc-listen", options.grpc_listen, options))
    return startup_error(kProgram, *open);
  if (!options.rest_listen.empty()) {
    if (const auto open = open_to_everyone("--rest-listen", options.rest_listen, options))
      return startup_error(kProgram, *open);
  }
  const bool tls = !options.tls.ca.empty() || !options.tls.certificate.empty() || !options.tls.key.empty();
  StopSignals signals;
  if (const auto log = set_up_log(kProgram, options.log); !log) return startup_error(kProgram, log.error());

  // After StopSignals: gRPC makes threads here, and they must inherit the signal mask.
  std::shared_ptr<grpc::ServerCredentials> credentials = grpc::InsecureServerCredentials();
  if (tls) {
    auto mutual = server_credentials(options.tls);
    if (!mutual) return startup_error(kProgram, mutual.error());
    credentials = std::move(*mutual);
    credentials->SetAuthMetadataProcessor(controller::access_check());
  }
  const auto grace = std::chrono::duration_cast<Duration>(std::chrono::duration<double>(options.adopt_grace));
  controller::Hub hub({.adopt_grace = grace},
                      static_cast<std::uint64_t>(wall_now().time_since_epoch().count()));
  controller::PolicySource source(options.policy_file, hub);
  if (const auto loaded = source.start(); !loaded) {
    return startup_error(kProgram, refusal_of(loaded.error(), options.policy_file));
  }
  auto http =
      HttpEndpoint::start(options.http_listen, controller::management_routes(hub, options.tls.certificate));
  if (!http) return startup_error(kProgram, http.error());
  controller::ControlService control(hub);
  controller::AdminService admin(hub);
  const auto server = start_grpc(options, std::move(credentials), control, admin);
  if (server == nullptr) {
    return startup_error(kProgram,
                         "cannot listen on " + options.grpc_listen +
                             ": the address is in use or not ours: choose another with --grpc-listen");
  }
  const auto rest = start_rest(options, *server);
  if (!rest) return startup_error(kProgram, rest.error());
  hub.start();
  spdlog::info("serving the control protocol on {} ({}), metrics on {}", options.grpc_listen,
               tls ? "mutual TLS" : "plain text", options.http_listen);
  const auto signal = signals.wait();
  spdlog::info("signal {}: ending; services go on with what they have", signal.value_or(0));
  source.stop();
  server->Shutdown(std::chrono::system_clock::now() + std::chrono::milliseconds{500});
  server->Wait();
  hub.stop();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{
      "The control plane of Isthmus: distributes policy, address leases and health to dns64-svc and "
      "nat64-svc"};
  app.name(std::string(kProgram));
  app.add_option("--policy-file", options.policy_file, "Policy in YAML; watched, a change goes out at once");
  app.add_option("--grpc-listen", options.grpc_listen, "Where services and isthmusctl connect")
      ->capture_default_str();
  app.add_option("--http-listen", options.http_listen, "Where /metrics, /healthz and /readyz are")
      ->capture_default_str();
  app.add_option("--rest-listen", options.rest_listen,
                 "Where the Admin API is offered as REST and JSON, with the same TLS files; empty: not");
  app.add_option("--tls-ca", options.tls.ca,
                 "PEM file: who may sign the certificates of services and operators");
  app.add_option("--tls-certificate", options.tls.certificate, "PEM file: the controller's certificate");
  app.add_option("--tls-key", options.tls.key, "PEM file: its key; files are read again when they change");
  app.add_flag("--allow-plaintext", options.allow_plaintext,
               "Permit gRPC without TLS on other than loopback");
  app.add_option("--adopt-grace", options.adopt_grace,
                 "Seconds after start in which no address is granted: living nodes tell first what they hold")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 3600.0));
  app.add_option("--log-level", options.log.level, "trace, debug, info, warning, error, critical, off")
      ->capture_default_str();
  app.add_option("--log-format", options.log.format, "text or json")->capture_default_str();
  app.set_version_flag("--version", ISTHMUS_VERSION);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    return startup_error(kProgram, std::string(error.what()) + ": see --help");
  }
  try {
    return run(options);
  } catch (const std::exception& error) {
    return startup_error(kProgram, error.what());
  }
}
