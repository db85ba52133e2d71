// SPDX-License-Identifier: Apache-2.0
// Management HTTP on Boost.Beast: /metrics, /healthz, /readyz and whatever else a program routes, or an API
// behind one handler. One thread, one request at a time per connection, bounded sizes and times. Handlers run
// on that thread: they must not block for long.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.hpp"

namespace isthmus {

struct HttpReply {
  unsigned status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};

using HttpRoutes = std::map<std::string, std::function<HttpReply()>, std::less<>>;  // path -> GET handler

// Views into the connection's buffers, valid during the handler's call.
struct HttpRequest {
  std::string_view method;
  std::string_view path;   // as sent, without the query
  std::string_view query;  // after '?', as sent
  std::string_view body;
  std::string peer;                            // address:port
  bool tls = false;                            // then the client showed a certificate
  std::vector<std::string> certificate_names;  // its DNS names
};

using HttpHandler = std::function<HttpReply(const HttpRequest&)>;

// PEM files for mutual TLS 1.3; read again when they change. All empty: plain HTTP.
struct HttpTls {
  std::string ca;
  std::string certificate;
  std::string key;
};

class HttpEndpoint {
 public:
  // `listen` is "127.0.0.1:9464" or "[::]:9464"; port 0 picks one. The error is a sentence with the remedy.
  [[nodiscard]] static Result<std::unique_ptr<HttpEndpoint>, std::string> start(const std::string& listen,
                                                                                HttpRoutes routes);
  // Every method and path goes to `handler`; bodies up to `max_body` bytes.
  [[nodiscard]] static Result<std::unique_ptr<HttpEndpoint>, std::string> start(const std::string& listen,
                                                                                HttpHandler handler,
                                                                                std::size_t max_body,
                                                                                const HttpTls& tls);
  ~HttpEndpoint();
  HttpEndpoint(const HttpEndpoint&) = delete;
  HttpEndpoint& operator=(const HttpEndpoint&) = delete;
  [[nodiscard]] std::uint16_t port() const;

 private:
  class Impl;
  explicit HttpEndpoint(std::unique_ptr<Impl> impl);
  [[nodiscard]] static Result<std::unique_ptr<HttpEndpoint>, std::string> open(const std::string& listen,
                                                                               std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace isthmus
