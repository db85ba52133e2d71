// SPDX-License-Identifier: Apache-2.0
// Credentials for the control stream from PEM files, read anew for each connection: renewed certificates are
// used from the next reconnect on.
#pragma once

#include <grpcpp/security/credentials.h>

#include <memory>
#include <string>

#include "common/base/result.hpp"
#include "common/control/control_client.hpp"

namespace isthmus {

// All files empty: plain text. The error is a sentence with the remedy.
[[nodiscard]] Result<std::shared_ptr<grpc::ChannelCredentials>, std::string> channel_credentials(
    const TlsFiles& files);

}  // namespace isthmus
