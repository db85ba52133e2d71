// SPDX-License-Identifier: Apache-2.0
// The caller of a gRPC method as the access rules know it (controller/core/access.hpp).
#pragma once

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_context.h>

#include <memory>

#include "controller/core/access.hpp"

namespace isthmus::controller {

// Metadata in which the REST side, in this process, says for whom it asks; from anywhere else it is not
// heard.
inline constexpr const char* kVouchedCaller = "isthmus-caller";

[[nodiscard]] Caller caller_of(const grpc::ServerContextBase& context);

// Asks the access rules before every call; a refused one ends with PERMISSION_DENIED and the reason. For
// credentials that demand a client certificate.
[[nodiscard]] std::shared_ptr<grpc::AuthMetadataProcessor> access_check();

}  // namespace isthmus::controller
