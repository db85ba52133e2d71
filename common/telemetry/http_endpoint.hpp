// SPDX-License-Identifier: Apache-2.0
// Management HTTP on Boost.Beast: /metrics, /healthz, /readyz and whatever else a program routes. One thread,
// one request at a time per connection, bounded sizes and times. Handlers run on that thread: they must not
// block for long.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "common/base/result.hpp"

namespace isthmus {

struct HttpReply {
  unsigned status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};

using HttpRoutes = std::map<std::string, std::function<HttpReply()>, std::less<>>;  // path -> GET handler

class HttpEndpoint {
 public:
  // `listen` is "127.0.0.1:9464" or "[::]:9464"; port 0 picks one. The error is a sentence with the remedy.
  [[nodiscard]] static Result<std::unique_ptr<HttpEndpoint>, std::string> start(const std::string& listen,
                                                                                HttpRoutes routes);
  ~HttpEndpoint();
  HttpEndpoint(const HttpEndpoint&) = delete;
  HttpEndpoint& operator=(const HttpEndpoint&) = delete;
  [[nodiscard]] std::uint16_t port() const;

 private:
  class Impl;
  explicit HttpEndpoint(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace isthmus
