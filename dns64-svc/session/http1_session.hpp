// SPDX-License-Identifier: Apache-2.0
// DNS over HTTPS in HTTP/1.1 (RFC 8484, RFC 9112), parsed by Boost.Beast. One request at a time: HTTP/1.1
// answers in order, and a client that wants more at once speaks HTTP/2.
#pragma once

#include <optional>
#include <vector>

#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/vector_body.hpp>

#include "dns64-svc/core/doh.hpp"
#include "dns64-svc/session/session.hpp"

namespace isthmus::dns64 {

class Http1Session final : public Session {
 public:
  static constexpr std::uint32_t kMaxHeader = 16384;  // bytes; a GET of a question is far smaller

  explicit Http1Session(Host& host);
  [[nodiscard]] std::size_t receive(std::span<const std::uint8_t> bytes) override;
  void reply(std::uint64_t exchange, std::span<const std::uint8_t> message) override;
  void abandon(std::uint64_t exchange, DropReason why) override;
  void drain() override;
  [[nodiscard]] bool takes_more() const override { return !closing_ && in_work_ == 0 && host_.may_write(); }
  [[nodiscard]] bool finished() const override { return closing_ && in_work_ == 0; }

 private:
  using Parser = boost::beast::http::request_parser<boost::beast::http::vector_body<std::uint8_t>>;
  void begin();
  void on_head();
  void dispatch();
  void on_parse_error(const boost::beast::error_code& error);
  void refuse(HttpStatus status);  // and read no further
  void respond(HttpStatus status, std::span<const std::uint8_t> message = {});

  std::optional<Parser> parser_;
  bool head_seen_ = false;
  bool keep_alive_ = true;  // of the request in work
  bool minor_0_ = false;    // HTTP/1.0
  bool closing_ = false;
  std::uint64_t exchange_ = 0;  // of the request in work
};

}  // namespace isthmus::dns64
