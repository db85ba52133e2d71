// SPDX-License-Identifier: Apache-2.0
#include "common/control/tls_credentials.hpp"

#include <fstream>
#include <sstream>

namespace isthmus {
namespace {

Result<std::string, std::string> read_pem(const std::string& path, const char* what) {
  if (path.empty()) {
    return failure(std::string{"TLS needs three files and there is no "} + what +
                   ": name it, or none of them");
  }
  std::ifstream in{path};
  std::ostringstream all;
  if (in) all << in.rdbuf();
  if (!in || all.str().find("-----BEGIN ") == std::string::npos) {
    return failure(std::string{"cannot read the "} + what + " " + path + ": it must be a readable PEM file");
  }
  return all.str();
}

}  // namespace

Result<std::shared_ptr<grpc::ChannelCredentials>, std::string> channel_credentials(const TlsFiles& files) {
  if (files.ca.empty() && files.certificate.empty() && files.key.empty()) {
    return grpc::InsecureChannelCredentials();
  }
  const auto ca = read_pem(files.ca, "CA certificate");
  if (!ca) return failure(ca.error());
  const auto certificate = read_pem(files.certificate, "certificate");
  if (!certificate) return failure(certificate.error());
  const auto key = read_pem(files.key, "private key");
  if (!key) return failure(key.error());
  return grpc::SslCredentials(
      {.pem_root_certs = *ca, .pem_private_key = *key, .pem_cert_chain = *certificate});
}

}  // namespace isthmus
