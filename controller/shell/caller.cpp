// SPDX-License-Identifier: Apache-2.0
#include "controller/shell/caller.hpp"

#include <grpc/grpc_security_constants.h>
#include <grpcpp/security/auth_context.h>
#include <grpcpp/security/auth_metadata_processor.h>
#include <spdlog/spdlog.h>

namespace isthmus::controller {
namespace {

constexpr std::string_view kInsecure = "insecure";  // gRPC's word for a plain-text port

std::vector<std::string> dns_names(const grpc::AuthContext& context) {
  std::vector<std::string> names;
  for (const auto& value : context.FindPropertyValues(GRPC_PEER_DNS_PROPERTY_NAME)) {
    names.emplace_back(value.data(), value.size());
  }
  return names;
}

class AccessCheck final : public grpc::AuthMetadataProcessor {
 public:
  bool IsBlocking() const override { return false; }
  grpc::Status Process(const InputMetadata& metadata, grpc::AuthContext* context, OutputMetadata*,
                       OutputMetadata*) override {
    const auto path = metadata.find(":path");
    const std::string_view method = path == metadata.end()
                                        ? std::string_view{}
                                        : std::string_view{path->second.data(), path->second.size()};
    const auto caller = Caller::certificate(dns_names(*context), "by certificate");
    const auto allowed = caller.may(right_needed(method));
    if (allowed) return grpc::Status::OK;
    spdlog::warn("refused {}: {}", method, allowed.error());
    return {grpc::StatusCode::PERMISSION_DENIED, allowed.error()};
  }
};

}  // namespace

Caller caller_of(const grpc::ServerContextBase& context) {
  if (context.peer() == "inproc") {
    const auto vouched = context.client_metadata().find(kVouchedCaller);
    if (vouched != context.client_metadata().end()) {
      return Caller::vouched({vouched->second.data(), vouched->second.size()});
    }
  }
  const auto auth = context.auth_context();
  if (auth == nullptr) return Caller::plain_text(context.peer());
  if (auth->IsPeerAuthenticated()) return Caller::certificate(dns_names(*auth), context.peer());
  const auto security = auth->FindPropertyValues(GRPC_TRANSPORT_SECURITY_TYPE_PROPERTY_NAME);
  const bool secured =
      !security.empty() && std::string_view{security.front().data(), security.front().size()} != kInsecure;
  // TLS without a client certificate cannot be: it is demanded. If it were, it has no role.
  return secured ? Caller::certificate({}, context.peer()) : Caller::plain_text(context.peer());
}

std::shared_ptr<grpc::AuthMetadataProcessor> access_check() {
  return std::make_shared<AccessCheck>();
}

}  // namespace isthmus::controller
