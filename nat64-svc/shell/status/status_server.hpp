// SPDX-License-Identifier: Apache-2.0
// The gRPC server of the management address: Nat64Status, health and reflection. Mutual TLS when certificates
// are given; without them loopback only.
#pragma once

#include <grpcpp/server.h>

#include <memory>

#include "common/control/tls_credentials.hpp"
#include "nat64-svc/shell/status/status_service.hpp"

namespace isthmus::nat64 {

class StatusServer {
 public:
  // `listen` is host:port. The error is a sentence with the remedy.
  [[nodiscard]] static Result<std::unique_ptr<StatusServer>, std::string> start(
      const std::string& listen, const TlsFiles& tls, std::unique_ptr<StatusService> service);
  ~StatusServer();  // ends the calls that run
  StatusServer(const StatusServer&) = delete;
  StatusServer& operator=(const StatusServer&) = delete;

 private:
  explicit StatusServer(std::unique_ptr<StatusService> service) : service_(std::move(service)) {}
  std::unique_ptr<StatusService> service_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace isthmus::nat64
