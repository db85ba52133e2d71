// SPDX-License-Identifier: Apache-2.0
// proto/isthmus/v1/dns64_status.proto over gRPC: explain, dump, flush. Threads of gRPC's own; what needs a
// worker is posted to it and waited for.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "common/control/control_client.hpp"
#include "dns64-svc/shell/server.hpp"
#include "isthmus/v1/dns64_status.grpc.pb.h"

namespace isthmus::dns64 {

class StatusService final : public v1::Dns64Status::Service {
 public:
  explicit StatusService(Server& server) : server_(server) {}

  grpc::Status Explain(grpc::ServerContext* context, const v1::ExplainDnsRequest* request,
                       v1::ExplainDnsResponse* response) override;
  grpc::Status DumpCache(grpc::ServerContext* context, const v1::DumpCacheRequest* request,
                         grpc::ServerWriter<v1::CacheEntry>* writer) override;
  grpc::Status FlushCache(grpc::ServerContext* context, const v1::FlushCacheRequest* request,
                          v1::FlushCacheResponse* response) override;

 private:
  Server& server_;
};

// The port on which it is served, until destroyed. With certificate files clients must show one that files.ca
// signed. The error is a sentence with the remedy.
class StatusPort {
 public:
  [[nodiscard]] static Result<std::unique_ptr<StatusPort>, std::string> open(const std::string& address,
                                                                             const TlsFiles& tls,
                                                                             Server& server);
  ~StatusPort();
  StatusPort(const StatusPort&) = delete;
  StatusPort& operator=(const StatusPort&) = delete;

 private:
  explicit StatusPort(Server& server) : service_(server) {}
  StatusService service_;
  std::unique_ptr<grpc::Server> grpc_;
};

}  // namespace isthmus::dns64
