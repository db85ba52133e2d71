// SPDX-License-Identifier: Apache-2.0
#include "controller/shell/caller.hpp"

#include <grpc/grpc_security_constants.h>
#include <grpcpp/security/auth_context.h>
#include <grpcpp/security/auth_metadata_processor.h>
#include <spdlog/spdlog.h>

#include <optional>
#include <sstream>

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

std::string joined(const std::vector<std::string>& names) {
  std::string out;
  for (const auto& name : names) out += (out.empty() ? "" : ",") + name;
  return out;
}

namespace {

std::optional<std::string> metadata_of(const grpc::ServerContextBase& context, const char* name) {
  const auto found = context.client_metadata().find(name);
  if (found == context.client_metadata().end()) return std::nullopt;
  return std::string{found->second.data(), found->second.size()};
}

std::vector<std::string> split(const std::string& names) {
  std::vector<std::string> out;
  std::istringstream in{names};
  for (std::string name; std::getline(in, name, ',');) out.push_back(name);
  return out;
}

// The caller at the other end of the connection, and the names in its certificate.
Caller direct_caller(const grpc::ServerContextBase& context, std::vector<std::string>* names = nullptr) {
  const auto auth = context.auth_context();
  if (auth == nullptr) return Caller::plain_text(context.peer());
  if (auth->IsPeerAuthenticated()) {
    auto shown = dns_names(*auth);
    auto caller = Caller::certificate(shown, context.peer());
    if (names != nullptr) *names = std::move(shown);
    return caller;
  }
  const auto security = auth->FindPropertyValues(GRPC_TRANSPORT_SECURITY_TYPE_PROPERTY_NAME);
  const bool secured =
      !security.empty() && std::string_view{security.front().data(), security.front().size()} != kInsecure;
  // TLS without a client certificate cannot be: it is demanded. If it were, it has no role.
  return secured ? Caller::certificate({}, context.peer()) : Caller::plain_text(context.peer());
}

}  // namespace

Caller caller_of(const grpc::ServerContextBase& context) {
  const auto direct = direct_caller(context);
  if (!direct.is_plain_text()) return direct;
  // A front door in this process, or a plain-text port, where everything is taken on trust.
  const auto peer = metadata_of(context, kRelayedPeer).value_or(context.peer());
  const auto names = metadata_of(context, kRelayedNames);
  return names ? Caller::certificate(split(*names), peer) : Caller::plain_text(peer);
}

std::vector<std::pair<std::string, std::string>> relayed_metadata(const grpc::ServerContextBase& context) {
  std::vector<std::string> names;
  const auto caller = direct_caller(context, &names);
  const auto peer = metadata_of(context, kRelayedPeer);
  const auto told = metadata_of(context, kRelayedNames);
  // Without TLS all is taken on trust, as everything there is.
  // Without TLS all is taken on trust, as everything there is.
  const bool believed = caller.is_plain_text() || caller.is_controller();
  std::vector<std::pair<std::string, std::string>> out{
      {kRelayedPeer, believed && peer ? *peer : context.peer()}};
  if (believed && peer) {
    if (told) out.emplace_back(kRelayedNames, *told);
  } else if (!caller.is_plain_text()) {
    out.emplace_back(kRelayedNames, joined(names));
  }
  return out;
}

std::shared_ptr<grpc::AuthMetadataProcessor> access_check() {
  return std::make_shared<AccessCheck>();
}

}  // namespace isthmus::controller
