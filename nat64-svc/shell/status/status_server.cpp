// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/status/status_server.hpp"

#include <grpc/support/log.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <spdlog/spdlog.h>

#include <chrono>

#include "common/net/host_port.hpp"
#include "common/net/ipv4_address.hpp"
#include "common/net/ipv6_address.hpp"

namespace isthmus::nat64 {
namespace {

constexpr int kThreads = 8;  // calls served at once

bool is_loopback(const std::string& host) {
  if (const auto v4 = Ipv4Address::parse(host)) return v4->value() >> 24 == 127;
  if (const auto v6 = Ipv6Address::parse(host)) return v6->is_loopback();
  return host == "localhost";
}

}  // namespace

Result<std::unique_ptr<StatusServer>, std::string> StatusServer::start(
    const std::string& listen, const TlsFiles& tls, std::unique_ptr<StatusService> service) {
  const auto address = parse_host_port(listen);
  if (!address) return failure("--grpc-listen " + listen + " is not host:port");
  // The tables say who talks to whom: not for everybody on the network.
  const bool secure = !tls.certificate.empty();
  if (!secure && !is_loopback(address->host)) {
    return failure(
        "--grpc-listen " + listen +
        " is reachable from outside without TLS: give --tls-ca, --tls-certificate and --tls-key, or "
        "listen on 127.0.0.1");
  }
  std::shared_ptr<grpc::ServerCredentials> credentials = grpc::InsecureServerCredentials();
  if (secure) {
    auto mutual = server_credentials(tls);
    if (!mutual) return failure(mutual.error());
    credentials = std::move(*mutual);
  }
  // What gRPC says about itself is for its developers.
  gpr_set_log_function([](gpr_log_func_args* line) { spdlog::debug("grpc: {}", line->message); });
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  std::unique_ptr<StatusServer> self(new StatusServer(std::move(service)));
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(listen, std::move(credentials), &port);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.SetSyncServerOption(grpc::ServerBuilder::NUM_CQS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::MIN_POLLERS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, 2);
  builder.SetResourceQuota(grpc::ResourceQuota("status").SetMaxThreads(kThreads));
  builder.SetMaxReceiveMessageSize(1 << 20);
  builder.RegisterService(self->service_.get());
  self->server_ = builder.BuildAndStart();
  if (port == 0 || self->server_ == nullptr) {
    return failure(
        "cannot listen on " + listen +
        ": the address is in use or not ours: choose another with --grpc-listen, or \"\" for none");
  }
  spdlog::info("status service on {} ({})", listen, secure ? "mutual TLS" : "plain text");
  return self;
}

StatusServer::~StatusServer() {
  service_->stop();
  if (!server_) return;
  server_->Shutdown(std::chrono::system_clock::now() + std::chrono::milliseconds{200});
  server_->Wait();
}

}  // namespace isthmus::nat64
