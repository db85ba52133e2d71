// SPDX-License-Identifier: Apache-2.0
#include "isthmusctl/lab_ca.hpp"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

namespace isthmus {
namespace {

using Bio = std::unique_ptr<BIO, decltype(&BIO_free)>;

Bio memory() {
  return {BIO_new(BIO_s_mem()), &BIO_free};
}

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return size > 0 ? std::string(data, static_cast<std::size_t>(size)) : std::string{};
}

std::string pem_of(X509* certificate) {
  const auto bio = memory();
  PEM_write_bio_X509(bio.get(), certificate);
  return text_of(bio.get());
}

std::string pem_of(EVP_PKEY* key) {
  const auto bio = memory();
  PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr);
  return text_of(bio.get());
}

bool extend(X509* x, X509* issuer, int what, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, x, nullptr, nullptr, 0);
  const std::unique_ptr<X509_EXTENSION, decltype(&X509_EXTENSION_free)> extension{
      X509V3_EXT_conf_nid(nullptr, &context, what, value.c_str()), &X509_EXTENSION_free};
  return extension && X509_add_ext(x, extension.get(), -1) == 1;
}

bool number_at_random(X509* x) {
  const std::unique_ptr<BIGNUM, decltype(&BN_free)> number{BN_new(), &BN_free};
  return number && BN_rand(number.get(), 127, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
         BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(x)) != nullptr;
}

// Version, number, times, names and key: what every certificate has. Valid from an hour ago: clocks differ.
bool fill(X509* x, const std::string& name, EVP_PKEY* key, X509* issuer, int days) {
  return X509_set_version(x, 2) == 1 && number_at_random(x) &&
         X509_gmtime_adj(X509_getm_notBefore(x), -3600) != nullptr &&
         X509_time_adj_ex(X509_getm_notAfter(x), days, 0, nullptr) != nullptr &&
         X509_set_pubkey(x, key) == 1 &&
         X509_NAME_add_entry_by_txt(
             X509_get_subject_name(x), "CN", MBSTRING_UTF8,
             // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): OpenSSL's signature
             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0) == 1 &&
         X509_set_issuer_name(x, X509_get_subject_name(issuer)) == 1;
}

auto cannot(const std::string& what) {
  return failure("OpenSSL could not " + what);
}

}  // namespace

Result<LabCa, std::string> LabCa::make(const std::string& name, int days) {
  Key key{EVP_EC_gen("P-256"), &EVP_PKEY_free};
  Certificate x{X509_new(), &X509_free};
  const bool made = key && x && fill(x.get(), name, key.get(), x.get(), days) &&
                    extend(x.get(), x.get(), NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
                    extend(x.get(), x.get(), NID_subject_key_identifier, "hash") &&
                    extend(x.get(), x.get(), NID_key_usage, "critical,keyCertSign,cRLSign") &&
                    X509_sign(x.get(), key.get(), EVP_sha256()) > 0;
  if (!made) return cannot("make the authority " + name);
  return LabCa{std::move(key), std::move(x)};
}

Result<LabCa, std::string> LabCa::load(const PemPair& pem) {
  const Bio certificate{BIO_new_mem_buf(pem.certificate.data(), static_cast<int>(pem.certificate.size())),
                        &BIO_free};
  const Bio key{BIO_new_mem_buf(pem.key.data(), static_cast<int>(pem.key.size())), &BIO_free};
  if (!certificate || !key) return cannot("read the authority");
  Certificate x{PEM_read_bio_X509(certificate.get(), nullptr, nullptr, nullptr), &X509_free};
  Key k{PEM_read_bio_PrivateKey(key.get(), nullptr, nullptr, nullptr), &EVP_PKEY_free};
  if (!x || !k) return cannot("read the authority: its files must be PEM");
  if (X509_check_private_key(x.get(), k.get()) != 1)
    return failure(std::string{"the authority's key is not its certificate's"});
  if (X509_cmp_current_time(X509_get0_notAfter(x.get())) < 0) {
    return failure(
        std::string{"the authority has expired: move it away, and every certificate is made anew"});
  }
  return LabCa{std::move(k), std::move(x)};
}

PemPair LabCa::pem() const {
  return {pem_of(certificate_.get()), pem_of(key_.get())};
}

Result<PemPair, std::string> LabCa::issue(const std::string& common_name,
                                          const std::vector<std::string>& alternative_names, int days) const {
  std::string names;
  for (const auto& name : alternative_names) names += (names.empty() ? "" : ",") + name;
  const Key key{EVP_EC_gen("P-256"), &EVP_PKEY_free};
  const Certificate x{X509_new(), &X509_free};
  X509* issuer = certificate_.get();
  const bool made = key && x && fill(x.get(), common_name, key.get(), issuer, days) &&
                    extend(x.get(), issuer, NID_basic_constraints, "critical,CA:FALSE") &&
                    extend(x.get(), issuer, NID_key_usage, "critical,digitalSignature") &&
                    extend(x.get(), issuer, NID_ext_key_usage, "serverAuth,clientAuth") &&
                    extend(x.get(), issuer, NID_subject_key_identifier, "hash") &&
                    extend(x.get(), issuer, NID_authority_key_identifier, "keyid") &&
                    (names.empty() || extend(x.get(), issuer, NID_subject_alt_name, names)) &&
                    X509_sign(x.get(), key_.get(), EVP_sha256()) > 0;
  if (!made) return cannot("make a certificate for " + common_name + " with the names " + names);
  return PemPair{pem_of(x.get()), pem_of(key.get())};
}

}  // namespace isthmus
