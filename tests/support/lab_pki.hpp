// SPDX-License-Identifier: Apache-2.0
// A certificate authority for tests, made when they run: nothing secret lies in the tree, nothing expires.
#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>

namespace isthmus::test {

class LabPki {
 public:
  explicit LabPki(const std::string& name = "isthmus test CA") : key_(make_key()) {
    certificate_ = make(name, key_.get(), {});
  }

  void write_ca(const std::string& path) const { write(path, certificate_.get()); }

  // `san` as OpenSSL writes it: "IP:127.0.0.1", "DNS:gw-1".
  void issue(const std::string& name, const std::string& san, const std::string& certificate_path,
             const std::string& key_path) {
    const auto key = make_key();
    write(certificate_path, make(name, key.get(), san).get());
    const File out{std::fopen(key_path.c_str(), "w"), &std::fclose};
    if (!out || PEM_write_PrivateKey(out.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1)
      fail();
  }

 private:
  using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
  using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;
  using File = std::unique_ptr<std::FILE, decltype(&std::fclose)>;

  [[noreturn]] static void fail() { throw std::runtime_error("the test CA could not be made"); }
  static Key make_key() {
    Key key{EVP_EC_gen("P-256"), &EVP_PKEY_free};
    if (!key) fail();
    return key;
  }

  // Without `san`: the authority itself.
  Certificate make(const std::string& name, EVP_PKEY* subject_key, const std::string& san) {
    Certificate out{X509_new(), &X509_free};
    X509* x = out.get();
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial_);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), 86400);
    X509_set_pubkey(x, subject_key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
    X509* issuer = certificate_ ? certificate_.get() : x;
    X509_set_issuer_name(x, X509_get_subject_name(issuer));
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, x, nullptr, nullptr, 0);
    const bool authority = san.empty();
    extend(x, context, NID_basic_constraints, authority ? "critical,CA:TRUE" : "CA:FALSE");
    extend(x, context, NID_subject_key_identifier, "hash");
    if (authority) extend(x, context, NID_key_usage, "critical,keyCertSign");
    if (!authority) extend(x, context, NID_subject_alt_name, san.c_str());
    if (X509_sign(x, key_.get(), EVP_sha256()) == 0) fail();
    return out;
  }

  static void extend(X509* x, X509V3_CTX& context, int what, const char* value) {
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, what, value);
    if (extension == nullptr) fail();
    X509_add_ext(x, extension, -1);
    X509_EXTENSION_free(extension);
  }

  static void write(const std::string& path, X509* x) {
    const File out{std::fopen(path.c_str(), "w"), &std::fclose};
    if (!out || PEM_write_X509(out.get(), x) != 1) fail();
  }

  Key key_;
  Certificate certificate_{nullptr, &X509_free};
  long serial_ = 0;
};

}  // namespace isthmus::test
