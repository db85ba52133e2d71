// SPDX-License-Identifier: Apache-2.0
#include "common/control/tls_credentials.hpp"

#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <ctime>
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

struct Pem {
  std::string ca, certificate, key;
};

Result<Pem, std::string> read_all(const TlsFiles& files) {
  auto ca = read_pem(files.ca, "CA certificate");
  if (!ca) return failure(ca.error());
  auto certificate = read_pem(files.certificate, "certificate");
  if (!certificate) return failure(certificate.error());
  auto key = read_pem(files.key, "private key");
  if (!key) return failure(key.error());
  return Pem{std::move(*ca), std::move(*certificate), std::move(*key)};
}

}  // namespace

Result<std::shared_ptr<grpc::ChannelCredentials>, std::string> channel_credentials(const TlsFiles& files) {
  if (files.ca.empty() && files.certificate.empty() && files.key.empty()) {
    return grpc::InsecureChannelCredentials();
  }
  auto pem = read_all(files);
  if (!pem) return failure(pem.error());
  return grpc::SslCredentials({.pem_root_certs = std::move(pem->ca),
                               .pem_private_key = std::move(pem->key),
                               .pem_cert_chain = std::move(pem->certificate)});
}

Result<std::shared_ptr<grpc::ChannelCredentials>, std::string> watched_channel_credentials(
    const TlsFiles& files, unsigned reread_every_seconds) {
  const bool named = !files.certificate.empty() || !files.key.empty();
  if (!named && files.ca.empty()) return grpc::InsecureChannelCredentials();
  if (const auto ca = read_pem(files.ca, "CA certificate"); !ca) return failure(ca.error());
  if (named) {
    if (const auto pem = read_all(files); !pem) return failure(pem.error());
  }
  namespace tls = grpc::experimental;
  tls::TlsChannelCredentialsOptions options;
  options.set_certificate_provider(std::make_shared<tls::FileWatcherCertificateProvider>(
      files.key, files.certificate, files.ca, reread_every_seconds));
  options.watch_root_certs();
  if (named) options.watch_identity_key_cert_pairs();
  return tls::TlsCredentials(options);
}

Result<std::shared_ptr<grpc::ServerCredentials>, std::string> server_credentials(
    const TlsFiles& files, unsigned reread_every_seconds) {
  if (const auto pem = read_all(files); !pem) return failure(pem.error());
  namespace tls = grpc::experimental;
  tls::TlsServerCredentialsOptions options{std::make_shared<tls::FileWatcherCertificateProvider>(
      files.key, files.certificate, files.ca, reread_every_seconds)};
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  options.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  return tls::TlsServerCredentials(options);
}

std::optional<std::int64_t> certificate_expiry(const std::string& path) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> file{
      path.empty() ? nullptr : BIO_new_file(path.c_str(), "r"), &BIO_free};
  if (!file) return std::nullopt;
  const std::unique_ptr<X509, decltype(&X509_free)> certificate{
      PEM_read_bio_X509(file.get(), nullptr, nullptr, nullptr), &X509_free};
  std::tm end{};
  if (!certificate || ASN1_TIME_to_tm(X509_get0_notAfter(certificate.get()), &end) != 1) return std::nullopt;
  return timegm(&end);
}

}  // namespace isthmus
