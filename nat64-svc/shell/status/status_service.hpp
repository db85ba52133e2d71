// SPDX-License-Identifier: Apache-2.0
// isthmus.v1.Nat64Status: what a node tells about itself. Reads only. Workers answer from their mailboxes
// between two bursts, a bounded number of records at a time; a caller that is slow holds up nobody but
// itself.
#pragma once

#include <atomic>
#include <functional>

#include "common/control/service_handlers.hpp"
#include "isthmus/v1/nat64_status.grpc.pb.h"
#include "nat64-svc/shell/gateway.hpp"

namespace isthmus::nat64 {

class StatusService final : public v1::Nat64Status::Service {
 public:
  // All outlive the service.
  StatusService(Gateway& gateway, std::function<FeedStatus()> feed, std::string node_id)
      : gateway_(gateway), feed_(std::move(feed)), node_id_(std::move(node_id)) {}

  grpc::Status GetStatus(grpc::ServerContext* context, const v1::GetNat64StatusRequest* request,
                         v1::GetNat64StatusResponse* response) override;
  grpc::Status GetRunningPolicy(grpc::ServerContext* context, const v1::GetRunningPolicyRequest* request,
                                v1::RunningPolicy* response) override;
  grpc::Status ListMappings(grpc::ServerContext* context, const v1::ListTablesRequest* request,
                            grpc::ServerWriter<v1::MappingChunk>* writer) override;
  grpc::Status ListSessions(grpc::ServerContext* context, const v1::ListTablesRequest* request,
                            grpc::ServerWriter<v1::SessionChunk>* writer) override;
  grpc::Status Find(grpc::ServerContext* context, const v1::FindRequest* request,
                    v1::FindResponse* response) override;
  grpc::Status ExplainPacket(grpc::ServerContext* context, const v1::ExplainPacketRequest* request,
                             v1::ExplainPacketResponse* response) override;
  grpc::Status Capture(grpc::ServerContext* context, const v1::CaptureRequest* request,
                       grpc::ServerWriter<v1::CaptureChunk>* writer) override;

  // Ends captures that run: streams would hold up a server's shutdown.
  void stop() { stopping_.store(true); }

 private:
  Gateway& gateway_;
  std::function<FeedStatus()> feed_;
  std::string node_id_;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> capturing_{false};
};

}  // namespace isthmus::nat64
