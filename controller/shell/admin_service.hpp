// SPDX-License-Identifier: Apache-2.0
// The Admin API: what isthmusctl asks. A read is one consistent view (admin_service.cpp); a change is decided
// in the hub's thread and answered when it was (admin_changes.cpp), with one line in the log for each.
#pragma once

#include "controller/shell/hub.hpp"
#include "isthmus/v1/admin.grpc.pb.h"

namespace isthmus::controller {

class AdminService final : public v1::Admin::CallbackService {
 public:
  explicit AdminService(Hub& hub) : hub_(hub) {}

  grpc::ServerUnaryReactor* Validate(grpc::CallbackServerContext* context, const v1::ValidateRequest* request,
                                     v1::ValidateResponse* response) override;
  grpc::ServerUnaryReactor* GetPolicy(grpc::CallbackServerContext* context,
                                      const v1::GetPolicyRequest* request,
                                      v1::GetPolicyResponse* response) override;
  grpc::ServerUnaryReactor* ListNodes(grpc::CallbackServerContext* context,
                                      const v1::ListNodesRequest* request,
                                      v1::ListNodesResponse* response) override;
  grpc::ServerUnaryReactor* ListLeases(grpc::CallbackServerContext* context,
                                       const v1::ListLeasesRequest* request,
                                       v1::ListLeasesResponse* response) override;
  grpc::ServerUnaryReactor* ListEvents(grpc::CallbackServerContext* context,
                                       const v1::ListEventsRequest* request,
                                       v1::ListEventsResponse* response) override;
  grpc::ServerUnaryReactor* LeaseHistory(grpc::CallbackServerContext* context,
                                         const v1::LeaseHistoryRequest* request,
                                         v1::LeaseHistoryResponse* response) override;

  grpc::ServerUnaryReactor* Apply(grpc::CallbackServerContext* context, const v1::ApplyRequest* request,
                                  v1::ApplyResponse* response) override;
  grpc::ServerUnaryReactor* PutChunks(grpc::CallbackServerContext* context,
                                      const v1::PutChunksRequest* request,
                                      v1::PutChunksResponse* response) override;
  grpc::ServerUnaryReactor* Rollback(grpc::CallbackServerContext* context, const v1::RollbackRequest* request,
                                     v1::ApplyResponse* response) override;
  grpc::ServerUnaryReactor* Diff(grpc::CallbackServerContext* context, const v1::DiffRequest* request,
                                 v1::DiffResponse* response) override;
  grpc::ServerUnaryReactor* History(grpc::CallbackServerContext* context, const v1::HistoryRequest* request,
                                    v1::HistoryResponse* response) override;
  grpc::ServerUnaryReactor* Drain(grpc::CallbackServerContext* context, const v1::DrainRequest* request,
                                  v1::DrainResponse* response) override;
  grpc::ServerUnaryReactor* Undrain(grpc::CallbackServerContext* context, const v1::UndrainRequest* request,
                                    v1::UndrainResponse* response) override;
  grpc::ServerUnaryReactor* Fence(grpc::CallbackServerContext* context, const v1::FenceRequest* request,
                                  v1::FenceResponse* response) override;

 private:
  Hub& hub_;
};

}  // namespace isthmus::controller
