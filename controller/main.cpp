// SPDX-License-Identifier: Apache-2.0
// isthmus-controller: flags -> wire up -> wait for a signal.
#include <grpc/support/log.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <spdlog/spdlog.h>

#include <functional>
#include <optional>

#include <CLI/CLI.hpp>

#include "common/base/log.hpp"
#include "common/base/signals.hpp"
#include "common/base/startup_error.hpp"
#include "common/control/tls_credentials.hpp"
#include "common/net/host_port.hpp"
#include "common/net/ipv4_address.hpp"
#include "common/net/ipv6_address.hpp"
#include "common/telemetry/health_command.hpp"
#include "common/telemetry/http_endpoint.hpp"
#include "controller/shell/caller.hpp"
#include "controller/shell/metrics.hpp"
#include "controller/shell/replica.hpp"
#include "controller/shell/rest.hpp"
#include "controller/shell/store_commands.hpp"
#include "controller/shell/term.hpp"
#include "controller/store/open_store.hpp"

namespace {

using namespace isthmus;

constexpr std::string_view kProgram = "isthmus-controller";
constexpr int kMaxMessageBytes = 32 << 20;
constexpr int kStreamsOfAPeer = 100;  // a service has one, an operator a few

struct Options {
  std::string policy_from = "file";
  std::string policy_file;
  std::string store = "sqlite:/var/lib/isthmus/controller.db";
  controller::EtcdFlags etcd;
  std::string advertise;
  std::string grpc_listen = "127.0.0.1:7400";
  std::string http_listen = "127.0.0.1:9400";
  std::string rest_listen;
  TlsFiles tls;
  bool allow_plaintext = false;
  double adopt_grace = 15;
  std::string in_use = "refuse";
  controller::WaveSettings waves;
  double soak = 10;
  LogOptions log;
};

bool is_loopback(const std::string& host) {
  if (const auto v4 = Ipv4Address::parse(host)) return v4->value() >> 24 == 127;
  if (const auto v6 = Ipv6Address::parse(host)) return v6->is_loopback();
  return host == "localhost";
}

// What gRPC has to say about itself is for its developers; our own lines tell operators what is wrong.
void quiet_grpc() {
  gpr_set_log_function([](gpr_log_func_args* line) { spdlog::debug("grpc: {}", line->message); });
}

// The server that services and operators reach; `add` registers what it serves. None: it cannot listen.
// `streams`: that one peer may have open on a connection.
std::unique_ptr<grpc::Server> start_grpc(const Options& options,
                                         std::shared_ptr<grpc::ServerCredentials> credentials, int streams,
                                         const std::function<void(grpc::ServerBuilder&)>& add) {
  quiet_grpc();
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(options.grpc_listen, std::move(credentials), &port);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT,
                             0);  // a second controller on the port must fail, not share it
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 5000);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, streams);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 10000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5000);
  builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
  builder.SetMaxSendMessageSize(kMaxMessageBytes);
  add(builder);
  auto server = builder.BuildAndStart();
  return port == 0 ? nullptr : std::move(server);
}

// The Admin API as REST; nothing without --rest-listen.
Result<std::unique_ptr<HttpEndpoint>, std::string> start_rest(const Options& options,
                                                              std::shared_ptr<grpc::Channel> channel) {
  if (options.rest_listen.empty()) return nullptr;
  return HttpEndpoint::start(options.rest_listen,
                             controller::rest_handler(std::move(channel), ISTHMUS_VERSION), kMaxMessageBytes,
                             {options.tls.ca, options.tls.certificate, options.tls.key});
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

int cannot_listen(const Options& options) {
  return startup_error(kProgram,
                       "cannot listen on " + options.grpc_listen +
                           ": the address is in use or not ours: choose another with --grpc-listen");
}

void say_serving(const Options& options, bool tls) {
  spdlog::info("serving the control protocol on {} ({}), metrics on {}", options.grpc_listen,
               tls ? "mutual TLS" : "plain text", options.http_listen);
}

// One controller with a store of its own.
int run_alone(const Options& options, const controller::TermOptions& term_options,
              std::shared_ptr<grpc::ServerCredentials> credentials, StopSignals& signals, bool tls) {
  auto store = controller::open_store(options.store, controller::StoreUse::kDecide);
  if (!store) return startup_error(kProgram, store.error().message);
  auto term = controller::Term::begin(std::move(*store), term_options, false);
  if (!term) return startup_error(kProgram, term.error());
  auto http = HttpEndpoint::start(options.http_listen,
                                  controller::management_routes((*term)->hub(), options.tls.certificate));
  if (!http) return startup_error(kProgram, http.error());
  auto server = start_grpc(options, std::move(credentials), kStreamsOfAPeer,
                           [&](grpc::ServerBuilder& builder) { (*term)->register_with(builder); });
  if (server == nullptr) return cannot_listen(options);
  (*term)->serve(std::move(server));
  auto rest = start_rest(options, (*term)->channel());
  if (!rest) return startup_error(kProgram, rest.error());
  say_serving(options, tls);
  if (options.store == "memory") {
    spdlog::warn(
        "--store memory: a restart forgets who holds which address; for more than a lab give sqlite:PATH");
  }
  const auto signal = signals.wait();
  spdlog::info("signal {}: ending; services go on with what they have", signal.value_or(0));
  rest->reset();  // before those whom they ask
  http->reset();
  return 0;
}

// One of several on an etcd.
int run_shared(const Options& options, const controller::TermOptions& term_options,
               std::shared_ptr<controller::EtcdStore> store,
               std::shared_ptr<grpc::ServerCredentials> credentials, StopSignals& signals, bool tls) {
  const auto address = options.advertise.empty() ? options.grpc_listen : options.advertise;
  const auto reachable = parse_host_port(address);
  if (!reachable || reachable->host == "0.0.0.0" || reachable->host == "::") {
    return startup_error(
        kProgram, "--advertise must say where the other controllers reach this one, HOST:PORT; \"" + address +
                      "\" does not");
  }
  controller::Replica replica(std::move(store),
                              {.address = address, .tls = options.tls, .term = term_options});
  auto http = HttpEndpoint::start(options.http_listen, replica.routes());
  if (!http) return startup_error(kProgram, http.error());
  // A controller that follows passes on the streams of all its services on one connection.
  const auto streams = static_cast<int>(term_options.settings.max_services) + kStreamsOfAPeer;
  const auto server = start_grpc(options, std::move(credentials), streams, [&](grpc::ServerBuilder& builder) {
    builder.RegisterCallbackGenericService(&replica.front_door());
  });
  if (server == nullptr) return cannot_listen(options);
  auto rest = start_rest(options, server->InProcessChannel({}));
  if (!rest) return startup_error(kProgram, rest.error());
  say_serving(options, tls);
  const auto signal = replica.run(signals);
  spdlog::info("signal {}: ending; services go on with what they have", signal);
  rest->reset();
  server->Shutdown(std::chrono::system_clock::now() + std::chrono::milliseconds{500});
  server->Wait();
  http->reset();
  return 0;
}

int run(const Options& options) {
  const bool from_file = options.policy_from == "file";
  if (from_file && options.policy_file.empty())
    return startup_error(kProgram, "--policy-file is required: give it a policy in YAML");
  if (!from_file && !options.policy_file.empty())
    return startup_error(kProgram, "--policy-file is not read with --policy-from store: give one of them");
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
  const controller::TermOptions term{.settings = {.adopt_grace = grace, .waves = options.waves},
                                     .policy_file = options.policy_file,
                                     .drain_what_is_in_use = options.in_use == "drain"};
  auto shared = controller::open_shared_store(options.store, options.etcd);
  if (!shared) return startup_error(kProgram, shared.error().message);
  if (*shared != nullptr)
    return run_shared(options, term, std::move(*shared), std::move(credentials), signals, tls);
  return run_alone(options, term, std::move(credentials), signals, tls);
}

}  // namespace

int main(int argc, char** argv) {
  if (const auto code = health_command(kProgram, "127.0.0.1:9400", argc, argv)) return *code;
  Options options;
  CLI::App app{
      "The control plane of Isthmus: distributes policy, address leases and health to dns64-svc and "
      "nat64-svc"};
  app.name(std::string(kProgram));
  app.add_option("--policy-file", options.policy_file, "Policy in YAML; watched, a change goes out at once");
  app.add_option("--policy-from", options.policy_from,
                 "Where the policy comes from: file (--policy-file), or store (isthmusctl apply)")
      ->capture_default_str()
      ->check(CLI::IsMember({"file", "store"}));
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
  app.add_option("--store", options.store,
                 "Where leases are kept: sqlite:PATH, etcd:HOST:PORT,HOST:PORT,... which several controllers "
                 "share, or memory, which forgets with the process")
      ->capture_default_str();
  app.add_option("--advertise", options.advertise,
                 "With etcd: HOST:PORT where the other controllers reach this one's gRPC");
  app.add_option("--etcd-ca", options.etcd.ca, "PEM file: who signed etcd's certificates; none: plain text");
  app.add_option("--etcd-certificate", options.etcd.certificate, "PEM file: our certificate for etcd");
  app.add_option("--etcd-key", options.etcd.key, "PEM file: its key");
  app.add_option("--etcd-user", options.etcd.user, "etcd user, if etcd's authentication is on");
  app.add_option("--etcd-password-file", options.etcd.password_file, "File whose first line is its password");
  app.add_option("--etcd-prefix", options.etcd.prefix, "Of all keys in etcd; one for each installation")
      ->capture_default_str();
  app.add_option("--adopt-grace", options.adopt_grace,
                 "Seconds after a start with a new or restored store in which no address is granted: living "
                 "nodes tell first what they hold")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 3600.0));
  app.add_option(
         "--in-use", options.in_use,
         "What becomes of a policy file that takes away addresses or prefixes in use: refuse, or drain "
         "(what runs over them may end first)")
      ->capture_default_str()
      ->check(CLI::IsMember({"refuse", "drain"}));
  app.add_option("--canary", options.waves.canary,
                 "Services of a kind that get a changed policy first; 0: all get it at once")
      ->capture_default_str()
      ->check(CLI::Range(0, 1000));
  app.add_option("--wave-percent", options.waves.wave_percent, "Share of them in each wave after the canary")
      ->capture_default_str()
      ->check(CLI::Range(1, 100));
  app.add_option("--soak", options.soak, "Seconds that a wave must run a policy before the next one gets it")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 86400.0));
  app.add_option("--log-level", options.log.level, "trace, debug, info, warning, error, critical, off")
      ->capture_default_str();
  app.add_option("--log-format", options.log.format, "text or json")->capture_default_str();
  std::string file;
  bool replace = false;
  app.fallthrough();  // --store may follow the command
  auto* backup =
      app.add_subcommand("backup", "write all that the store holds to a file; the controller may run");
  backup->add_option("--to", file, "file to write; must not exist")->required();
  auto* restore =
      app.add_subcommand("restore", "put a backup into the store; the controller must be stopped");
  restore->add_option("--from", file, "file that `backup` wrote")->required();
  restore->add_flag("--replace", replace, "also when the store holds leases already");
  app.set_version_flag("--version", ISTHMUS_VERSION);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    return startup_error(kProgram, std::string(error.what()) + ": see --help");
  }
  options.waves.soak = std::chrono::duration_cast<Duration>(std::chrono::duration<double>(options.soak));
  try {
    if (*backup || *restore) {
      const auto use = *backup ? controller::StoreUse::kRead : controller::StoreUse::kDecide;
      const auto store = controller::open_store(options.store, use, options.etcd);
      if (!store) return startup_error(kProgram, store.error().message);
      return *backup ? controller::backup_command(**store, file)
                     : controller::restore_command(**store, file, replace);
    }
    return run(options);
  } catch (const std::exception& error) {
    return startup_error(kProgram, error.what());
  }
}
