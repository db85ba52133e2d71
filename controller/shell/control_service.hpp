// SPDX-License-Identifier: Apache-2.0
// ControlPlane.Session over gRPC's callback API: no thread per stream, so thousands of services are cheap. A
// stream reads its next message only when the hub has dealt with the last: a peer cannot fill our memory.
#pragma once

#include "controller/shell/hub.hpp"
#include "isthmus/v1/control.grpc.pb.h"

namespace isthmus::controller {

class ControlService final : public v1::ControlPlane::CallbackService {
 public:
  explicit ControlService(Hub& hub) : hub_(hub) {}
  grpc::ServerBidiReactor<v1::ServiceMessage, v1::ControllerMessage>* Session(
      grpc::CallbackServerContext* context) override;

 private:
  Hub& hub_;
};

}  // namespace isthmus::controller
