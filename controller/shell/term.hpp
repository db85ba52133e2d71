// SPDX-License-Identifier: Apache-2.0
// All that exists while this controller decides: the hub with what it remembers, the policy, and the services
// that talk to it. A controller with a store of its own has one for its life; one that shares its store has
// one while it leads.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "controller/shell/admin_service.hpp"
#include "controller/shell/control_service.hpp"
#include "controller/shell/hub.hpp"
#include "controller/shell/policy_source.hpp"

namespace isthmus::controller {

struct TermOptions {
  Settings settings;
  std::string policy_file;            // empty: the policy is kept in the store
  bool drain_what_is_in_use = false;  // of a change in the file
};

class Term {
 public:
  // Reads the store and the policy. The error is a sentence with the remedy.
  // `shared`: other controllers use the store too.
  [[nodiscard]] static Result<std::unique_ptr<Term>, std::string> begin(std::shared_ptr<Store> store,
                                                                        const TermOptions& options,
                                                                        bool shared);
  ~Term();  // what `server` serves ends; services go on with what they have
  Term(const Term&) = delete;
  Term& operator=(const Term&) = delete;

  // Adds its services to a server that is being built; then give that server to serve(). `lost`: Hub::start.
  void register_with(grpc::ServerBuilder& builder);
  void serve(std::unique_ptr<grpc::Server> server, std::function<void()> lost = {});

  [[nodiscard]] const Hub& hub() const { return hub_; }
  [[nodiscard]] std::shared_ptr<grpc::Channel> channel() { return server_->InProcessChannel({}); }

 private:
  Term(std::unique_ptr<Ledger> ledger, const TermOptions& options);
  [[nodiscard]] Result<void, std::string> read_policy(const TermOptions& options, bool shared);

  Hub hub_;
  std::optional<PolicySource> source_;
  ControlService control_;
  AdminService admin_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace isthmus::controller
