// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/session/http1_session.hpp"

#include <string>

#include "dns64-svc/core/wire/constants.hpp"

namespace isthmus::dns64 {

namespace http = boost::beast::http;

namespace {

void append(std::vector<std::uint8_t>& out, std::string_view text) {
  out.insert(out.end(), text.begin(), text.end());
}

std::string_view view_of(boost::beast::string_view text) {
  return {text.data(), text.size()};
}

}  // namespace

Http1Session::Http1Session(Host& host) : Session(host) {
  begin();
}

void Http1Session::begin() {
  parser_.emplace();
  parser_->header_limit(kMaxHeader);
  parser_->body_limit(kMaxMessageSize);
  head_seen_ = false;
}

std::size_t Http1Session::receive(std::span<const std::uint8_t> bytes) {
  std::size_t at = 0;
  while (takes_more() && at < bytes.size()) {
    boost::beast::error_code error;
    const auto used = parser_->put(boost::asio::const_buffer{bytes.data() + at, bytes.size() - at}, error);
    at += used;
    if (error && error != http::error::need_more) {
      on_parse_error(error);
      return bytes.size();
    }
    if (parser_->is_header_done() && !head_seen_) on_head();
    if (closing_) return bytes.size();
    if (parser_->is_done())
      dispatch();
    else if (used == 0)
      break;
  }
  return at;
}

// Refuses what can be refused before its body comes.
void Http1Session::on_head() {
  head_seen_ = true;
  const auto& head = parser_->get();
  keep_alive_ = parser_->keep_alive();
  minor_0_ = head.version() == 10;
  const auto checked = check_doh_head(view_of(head.method_string()), view_of(head.target()),
                                      view_of(head[http::field::content_type]));
  // RFC 9112 §6.3 lets a server ask for Content-Length. A message fits into one piece, and Beast's parser
  // takes what follows the last chunk for granted (its assertions fail on hostile bytes there).
  if (parser_->chunked()) return refuse(HttpStatus::kLengthRequired);
  // The body would have to be read to find the next request: it is not worth it.
  if (!checked && !parser_->is_done()) return refuse(checked.error());
  // RFC 9110 §10.1.1.
  if (!parser_->is_done() && boost::beast::iequals(head[http::field::expect], "100-continue"))
    append(host_.out(), "HTTP/1.1 100 Continue\r\n\r\n");
}

void Http1Session::dispatch() {
  const auto& request = parser_->get();
  const auto target = view_of(request.target());
  const auto method =
      check_doh_head(view_of(request.method_string()), target, view_of(request[http::field::content_type]));
  if (!method) {
    respond(method.error());
    return begin();
  }
  std::vector<std::uint8_t> message;
  if (*method == DohMethod::kGet) {
    auto decoded = message_of_target(target);
    if (!decoded) {
      respond(decoded.error());
      return begin();
    }
    message = std::move(*decoded);
  } else {
    message = parser_->release().body();
  }
  begin();
  if (!is_answerable(message)) return respond(HttpStatus::kBadRequest);
  ++in_work_;
  ++exchange_;
  const auto size = host_.on_request(message, exchange_);
  if (size == 0) return;  // reply() or abandon() comes, or has come
  --in_work_;
  respond(HttpStatus::kOk, host_.room().first(size));
}

void Http1Session::on_parse_error(const boost::beast::error_code& error) {
  if (error == http::error::body_limit)
    refuse(HttpStatus::kContentTooLarge);
  else if (error == http::error::header_limit || error == http::error::buffer_overflow)
    refuse(HttpStatus::kHeadersTooLarge);
  else
    refuse(HttpStatus::kBadRequest);
}

void Http1Session::refuse(HttpStatus status) {
  keep_alive_ = false;
  respond(status);
}

void Http1Session::respond(HttpStatus status, std::span<const std::uint8_t> message) {
  if (!keep_alive_) closing_ = true;
  std::string head = "HTTP/1.1 " + std::to_string(static_cast<unsigned>(status)) + " ";
  head += reason_of(status);
  head += "\r\ndate: " + host_.http_date();
  if (status == HttpStatus::kOk) {
    head += "\r\ncontent-type: ";
    head += kDnsMessageType;
    head += "\r\ncache-control: " + cache_control_of(message);
  } else {
    head += "\r\ncache-control: no-store";
  }
  if (status == HttpStatus::kMethodNotAllowed) head += "\r\nallow: GET, POST";
  if (status == HttpStatus::kServiceUnavailable) head.append("\r\nretry-after: ").append(kRetryAfter);
  head += "\r\ncontent-length: " + std::to_string(message.size());
  if (closing_)
    head += "\r\nconnection: close";
  else if (minor_0_)
    head += "\r\nconnection: keep-alive";
  head += "\r\n\r\n";
  auto& out = host_.out();
  append(out, head);
  out.insert(out.end(), message.begin(), message.end());
}

void Http1Session::reply(std::uint64_t exchange, std::span<const std::uint8_t> message) {
  if (in_work_ == 0 || exchange != exchange_) return;
  --in_work_;
  respond(HttpStatus::kOk, message);
}

void Http1Session::abandon(std::uint64_t exchange, DropReason why) {
  if (in_work_ == 0 || exchange != exchange_) return;
  --in_work_;
  respond(status_of(why));
}

void Http1Session::drain() {
  keep_alive_ = false;
  closing_ = true;
}

}  // namespace isthmus::dns64
