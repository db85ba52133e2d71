// SPDX-License-Identifier: Apache-2.0
// The TLS side of management HTTP: a context from PEM files that follows them, and the names in a client's
// certificate.
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/ssl/context.hpp>

#include "common/base/result.hpp"
#include "common/telemetry/http_endpoint.hpp"

namespace isthmus {

class HttpTlsContext {
 public:
  explicit HttpTlsContext(HttpTls files) : files_(std::move(files)) {}
  // Reads the files. The error is a sentence with the remedy.
  [[nodiscard]] Result<void, std::string> load();
  // For the next connection; loads again when a file changed. Files that do not fit together are not taken:
  // the last good ones go on.
  [[nodiscard]] std::shared_ptr<boost::asio::ssl::context> current();

 private:
  [[nodiscard]] std::filesystem::file_time_type newest() const;

  HttpTls files_;
  std::shared_ptr<boost::asio::ssl::context> context_;
  std::filesystem::file_time_type seen_;
};

// DNS names of the peer's certificate; none without one.
[[nodiscard]] std::vector<std::string> peer_dns_names(SSL* connection);

}  // namespace isthmus
