// SPDX-License-Identifier: Apache-2.0
// A small certificate authority for labs and first installations: P-256 keys, PEM texts, no state but its own
// certificate and key. Production has an authority already (cert-manager, Vault): use that.
#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>
#include <string>
#include <vector>

#include "common/base/result.hpp"

namespace isthmus {

struct PemPair {
  std::string certificate;
  std::string key;
};

class LabCa {
 public:
  // Errors are sentences.
  [[nodiscard]] static Result<LabCa, std::string> make(const std::string& name, int days);
  [[nodiscard]] static Result<LabCa, std::string> load(const PemPair& pem);

  [[nodiscard]] PemPair pem() const;
  // `alternative_names` as OpenSSL writes them: "DNS:gw1.nat64.isthmus.internal", "IP:127.0.0.1".
  [[nodiscard]] Result<PemPair, std::string> issue(const std::string& common_name,
                                                   const std::vector<std::string>& alternative_names,
                                                   int days) const;

 private:
  using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
  using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;

  LabCa(Key key, Certificate certificate) : key_(std::move(key)), certificate_(std::move(certificate)) {}

  Key key_;
  Certificate certificate_;
};

}  // namespace isthmus
