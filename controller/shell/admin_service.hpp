// SPDX-License-Identifier: Apache-2.0
// The Admin API: what isthmusctl asks. Reads only; every answer is one consistent view.
#pragma once

#include "controller/shell/hub.hpp"
#include "isthmus/v1/admin.grpc.pb.h"

namespace isthmus::controller {

class AdminService final : public v1::Admin::CallbackService {
 public:
  explicit AdminService(const Hub& hub) : hub_(hub) {}

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

 private:
  const Hub& hub_;
};

}  // namespace isthmus::controller
