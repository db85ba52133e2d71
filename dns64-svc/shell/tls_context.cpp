// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/shell/tls_context.hpp"

#include <openssl/err.h>
#include <openssl/x509.h>

#include <array>
#include <ctime>
#include <string_view>

namespace isthmus::dns64 {
namespace {

// Length before each name (RFC 7301 §3.1), the preferred first.
constexpr std::string_view kDnsProtocols{
    "\x03"
    "dot"};
constexpr std::string_view kHttpProtocols{
    "\x02"
    "h2"
    "\x08"
    "http/1.1"};
constexpr std::size_t kTicketKeys = 80;  // bytes: a name and two keys

std::string reason() {
  const auto code = ERR_peek_error();  // the first says most: "no start line", "No such file"
  const char* const text = code == 0 ? nullptr : ERR_reason_error_string(code);
  ERR_clear_error();
  return text == nullptr ? "unknown error" : text;
}

// RFC 7301 §3.2: a client that offers protocols and none of ours is told so; another protocol's client must
// not get through to DNS. One that offers none is served.
int select_protocol(SSL*, const unsigned char** out, unsigned char* size, const unsigned char* offered,
                    unsigned offered_size, void* ours) {
  const auto& list = *static_cast<const std::string_view*>(ours);
  unsigned char* chosen = nullptr;
  const auto verdict =
      SSL_select_next_proto(&chosen, size, reinterpret_cast<const unsigned char*>(list.data()),
                            static_cast<unsigned>(list.size()), offered, offered_size);
  *out = chosen;
  return verdict == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

std::int64_t not_after_of(SSL_CTX* context) {
  const X509* const certificate = SSL_CTX_get0_certificate(context);
  std::tm time{};
  if (certificate == nullptr || ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &time) != 1) return 0;
  return timegm(&time);
}

}  // namespace

Result<std::shared_ptr<const TlsContext>, std::string> TlsContext::load(const std::string& certificate,
                                                                        const std::string& key,
                                                                        TlsProtocol protocol, TimePoint now,
                                                                        const TlsContext* previous) {
  ERR_clear_error();
  std::shared_ptr<TlsContext> made{new TlsContext};
  made->context_.reset(SSL_CTX_new(TLS_server_method()));
  auto* const context = made->context_.get();
  if (context == nullptr) return failure("TLS cannot be used: " + reason());
  // RFC 8310 §8.1, RFC 9325: 1.2 with forward secrecy and authenticated encryption, and 1.3.
  if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 ||
      SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20") != 1)
    return failure("TLS cannot be used: " + reason());
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                   SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                                   SSL_OP_IGNORE_UNEXPECTED_EOF);
  // An idle connection keeps no buffers; sessions are resumed by tickets alone, so nothing is kept here.
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context, 1);
  constexpr std::string_view kSessionContext{"isthmus-dns64"};
  SSL_CTX_set_session_id_context(context, reinterpret_cast<const unsigned char*>(kSessionContext.data()),
                                 static_cast<unsigned>(kSessionContext.size()));
  const auto& protocols = protocol == TlsProtocol::kDns ? kDnsProtocols : kHttpProtocols;
  SSL_CTX_set_alpn_select_cb(context, select_protocol, const_cast<std::string_view*>(&protocols));
  if (SSL_CTX_use_certificate_chain_file(context, certificate.c_str()) != 1)
    return failure("cannot use the certificate " + certificate + ": " + reason() +
                   ": it must be a readable PEM file, the server's certificate first");
  if (SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) != 1)
    return failure("cannot use the key " + key + ": " + reason() +
                   ": it must be a readable PEM file with the key of " + certificate);
  if (SSL_CTX_check_private_key(context) != 1)
    return failure("the key " + key + " does not belong to the certificate " + certificate);
  made->keys_made_ = now;
  if (previous != nullptr && !previous->has_old_keys(now)) {
    std::array<unsigned char, kTicketKeys> keys{};
    constexpr auto kSize = static_cast<long>(kTicketKeys);
    if (SSL_CTX_get_tlsext_ticket_keys(previous->get(), keys.data(), kSize) == 1)
      SSL_CTX_set_tlsext_ticket_keys(context, keys.data(), kSize);
    made->keys_made_ = previous->keys_made_;
  }
  made->not_after_ = not_after_of(context);
  return std::shared_ptr<const TlsContext>{std::move(made)};
}

Result<std::shared_ptr<const TlsContexts>, std::string> TlsContexts::load(const std::string& certificate,
                                                                          const std::string& key,
                                                                          TimePoint now,
                                                                          const TlsContexts* previous) {
  auto made = std::make_shared<TlsContexts>();
  auto dns =
      TlsContext::load(certificate, key, TlsProtocol::kDns, now, previous ? previous->dns.get() : nullptr);
  if (!dns) return failure(dns.error());
  auto http =
      TlsContext::load(certificate, key, TlsProtocol::kHttp, now, previous ? previous->http.get() : nullptr);
  if (!http) return failure(http.error());
  made->dns = std::move(*dns);
  made->http = std::move(*http);
  return std::shared_ptr<const TlsContexts>{std::move(made)};
}

}  // namespace isthmus::dns64
