// SPDX-License-Identifier: Apache-2.0
#include "common/telemetry/http_tls.hpp"

#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <spdlog/spdlog.h>

#include <algorithm>

namespace isthmus {

namespace ssl = boost::asio::ssl;
namespace fs = std::filesystem;

fs::file_time_type HttpTlsContext::newest() const {
  auto newest = fs::file_time_type::min();
  for (const auto& path : {files_.ca, files_.certificate, files_.key}) {
    std::error_code error;
    const auto time = fs::last_write_time(path, error);
    if (!error) newest = std::max(newest, time);
  }
  return newest;
}

Result<void, std::string> HttpTlsContext::load() {
  seen_ = newest();
  auto fresh = std::make_shared<ssl::context>(ssl::context::tls_server);
  boost::system::error_code error;
  const auto problem = [&](const std::string& file) {
    return failure(
        "cannot use " + file + " for TLS: " + error.message() +
        ": all of CA, certificate and key must be readable PEM files, and the key the certificate's");
  };
  SSL_CTX_set_min_proto_version(fresh->native_handle(), TLS1_3_VERSION);
  if (fresh->load_verify_file(files_.ca, error)) return problem(files_.ca);
  if (fresh->use_certificate_chain_file(files_.certificate, error)) return problem(files_.certificate);
  if (fresh->use_private_key_file(files_.key, ssl::context::pem, error)) return problem(files_.key);
  fresh->set_verify_mode(ssl::verify_peer | ssl::verify_fail_if_no_peer_cert, error);
  if (error) return problem(files_.ca);
  context_ = std::move(fresh);
  return {};
}

std::shared_ptr<ssl::context> HttpTlsContext::current() {
  if (newest() != seen_) {
    if (const auto loaded = load(); !loaded) spdlog::warn("{}; the last good ones go on", loaded.error());
  }
  return context_;
}

std::vector<std::string> peer_dns_names(SSL* connection) {
  std::vector<std::string> names;
  const std::unique_ptr<X509, decltype(&X509_free)> certificate{SSL_get1_peer_certificate(connection),
                                                                &X509_free};
  if (!certificate) return names;
  const std::unique_ptr<GENERAL_NAMES, decltype(&GENERAL_NAMES_free)> all{
      static_cast<GENERAL_NAMES*>(
          X509_get_ext_d2i(certificate.get(), NID_subject_alt_name, nullptr, nullptr)),
      &GENERAL_NAMES_free};
  for (int i = 0; all && i < sk_GENERAL_NAME_num(all.get()); ++i) {
    int kind = 0;
    const auto* value =
        static_cast<const ASN1_STRING*>(GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(all.get(), i), &kind));
    if (kind != GEN_DNS || value == nullptr) continue;
    const auto* bytes = ASN1_STRING_get0_data(value);
    names.emplace_back(bytes, bytes + ASN1_STRING_length(value));
  }
  return names;
}

}  // namespace isthmus
