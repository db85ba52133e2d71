// SPDX-License-Identifier: Apache-2.0
// The caller of a gRPC method as the access rules know it (controller/core/access.hpp).
#pragma once

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_context.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "controller/core/access.hpp"

namespace isthmus::controller {

// Metadata by which a front door (shell/relay.hpp, shell/rest.hpp) says for whom it asks: where the caller
// is, and the DNS names of its certificate, joined by commas; without names it spoke plain text. Over TLS a
// controller alone is believed.
inline constexpr const char* kRelayedPeer = "isthmus-peer";
inline constexpr const char* kRelayedNames = "isthmus-names";

[[nodiscard]] Caller caller_of(const grpc::ServerContextBase& context);

// What a front door adds to the call that it passes on for `context`: a list of name and value. What another
// controller said is passed on, what anybody else says of himself is not.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> relayed_metadata(
    const grpc::ServerContextBase& context);
[[nodiscard]] std::string joined(const std::vector<std::string>& names);

// Asks the access rules before every call; a refused one ends with PERMISSION_DENIED and the reason. For
// credentials that demand a client certificate.
[[nodiscard]] std::shared_ptr<grpc::AuthMetadataProcessor> access_check();

}  // namespace isthmus::controller
