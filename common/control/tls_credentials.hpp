// SPDX-License-Identifier: Apache-2.0
// Mutual TLS for gRPC from PEM files. A client that makes a channel for each connection reads them for each;
// a server, and a client whose channel stays, watch them, so that renewed certificates are used for every
// handshake that begins a few seconds after the files changed.
#pragma once

#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "common/base/result.hpp"
#include "common/control/control_client.hpp"

namespace isthmus {

// All files empty: plain text. The error is a sentence with the remedy.
[[nodiscard]] Result<std::shared_ptr<grpc::ChannelCredentials>, std::string> channel_credentials(
    const TlsFiles& files);

// For a channel that connects again and again. The certificate and its key may be left out, both: then the
// client does not say who it is.
[[nodiscard]] Result<std::shared_ptr<grpc::ChannelCredentials>, std::string> watched_channel_credentials(
    const TlsFiles& files, unsigned reread_every_seconds = 10);

// For a server that demands a certificate signed by `files.ca` from every client; who the client is, is the
// server's to check. All three files are required. Replace key and certificate together (rename a directory
// or swap a symbolic link, as Kubernetes does); files that do not match are not taken.
[[nodiscard]] Result<std::shared_ptr<grpc::ServerCredentials>, std::string> server_credentials(
    const TlsFiles& files, unsigned reread_every_seconds = 10);

// When the first certificate in a PEM file ends, in Unix seconds; nothing when there is none to read. Reads
// the file.
[[nodiscard]] std::optional<std::int64_t> certificate_expiry(const std::string& path);

}  // namespace isthmus
