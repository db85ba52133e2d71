// SPDX-License-Identifier: Apache-2.0
// The front door of a controller that shares its store with others: every call, of whatever service, goes on
// unread to where decisions are made: this process while it leads, the leader's front door otherwise. So
// every replica serves streams and questions, and all of them are answered by the one that decides.
//
// When the target changes, calls to the former one end: services and operators call again.
#pragma once

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <memory>
#include <mutex>
#include <set>
#include <string>

namespace isthmus::controller {

class Relay final : public grpc::CallbackGenericService {
 public:
  ~Relay() override;

  // None: callers are told `why_none`. `further`: the target is another controller's front door, which must
  // not send the call on once more.
  void set_target(std::shared_ptr<grpc::Channel> target, bool further, std::string why_none);

  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext* context) override;

 private:
  class Call;
  void remove(Call* call);

  std::mutex lock_;
  std::shared_ptr<grpc::Channel> target_;
  bool further_ = false;
  std::string why_none_ = "no controller leads yet: try again";
  std::set<Call*> calls_;
};

}  // namespace isthmus::controller
