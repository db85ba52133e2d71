// SPDX-License-Identifier: Apache-2.0
// Limits: 64 connections, 8 KiB of request line and headers, no request body, 10 s for a request to arrive
// and for an answer to leave. A client that breaks one loses its connection and nobody else notices.
#include "common/telemetry/http_endpoint.hpp"

#include <pthread.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <cstdint>
#include <exception>
#include <thread>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>

#include "common/net/host_port.hpp"

namespace isthmus {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using tcp = asio::ip::tcp;

constexpr std::size_t kMaxConnections = 64;
constexpr std::size_t kMaxHeader = 8192;
constexpr std::chrono::seconds kPatience{10};
constexpr std::chrono::milliseconds kAcceptPause{100};  // after EMFILE and the like

HttpReply run_handler(const HttpRoutes& routes, std::string_view target) {
  const auto path = target.substr(0, target.find('?'));
  const auto route = routes.find(path);
  if (route == routes.end()) return {404, "text/plain; charset=utf-8", "no such page\n"};
  try {
    return route->second();
  } catch (const std::exception& e) {
    spdlog::error("management HTTP: the handler of {} failed: {}", path, e.what());
    return {500, "text/plain; charset=utf-8", "internal error\n"};
  }
}

// One connection: read, answer, again while the peer keeps it alive. Owned by its pending operation.
class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(tcp::socket socket, const HttpRoutes& routes, std::size_t& open)
      : stream_(std::move(socket)), routes_(routes), open_(open) {
    ++open_;
  }
  ~Session() { --open_; }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void read() {
    parser_.emplace();
    parser_->header_limit(kMaxHeader);
    parser_->body_limit(0);
    stream_.expires_after(kPatience);
    http::async_read(
        stream_, buffer_, *parser_,
        [self = shared_from_this()](beast::error_code error, std::size_t) { self->on_read(error); });
  }

 private:
  void on_read(beast::error_code error) {
    if (!error) return answer();
    const bool too_big = error == http::error::header_limit || error == http::error::body_limit ||
                         error == http::error::buffer_overflow;
    // A peer that closed, timed out or sent no HTTP at all gets no words.
    if (!too_big && error != http::error::unexpected_body) return;
    write({too_big ? 413U : 400U, "text/plain; charset=utf-8", "request too large\n"}, false, false);
  }

  void answer() {
    const auto& request = parser_->get();
    const bool head = request.method() == http::verb::head;
    if (!head && request.method() != http::verb::get) {
      return write({405, "text/plain; charset=utf-8", "only GET and HEAD\n"}, head, request.keep_alive());
    }
    const auto target = request.target();
    write(run_handler(routes_, {target.data(), target.size()}), head, request.keep_alive());
  }

  void write(HttpReply reply, bool head, bool keep_alive) {
    response_ = {static_cast<http::status>(reply.status), 11};
    response_.set(http::field::content_type, reply.content_type);
    response_.set(http::field::cache_control, "no-store");
    if (reply.status == 405) response_.set(http::field::allow, "GET, HEAD");
    response_.keep_alive(keep_alive);
    response_.content_length(reply.body.size());
    if (!head) response_.body() = std::move(reply.body);
    serializer_.emplace(response_);
    serializer_->split(head);  // a HEAD answer ends after its headers (RFC 9110 §9.3.2)
    stream_.expires_after(kPatience);
    auto done = [self = shared_from_this(), keep_alive](beast::error_code error, std::size_t) {
      if (!error && keep_alive) self->read();
    };
    if (head) {
      http::async_write_header(stream_, *serializer_, std::move(done));
    } else {
      http::async_write(stream_, *serializer_, std::move(done));
    }
  }

  beast::tcp_stream stream_;
  const HttpRoutes& routes_;
  std::size_t& open_;
  beast::flat_buffer buffer_{2 * kMaxHeader};
  std::optional<http::request_parser<http::string_body>> parser_;
  http::response<http::string_body> response_;
  std::optional<http::response_serializer<http::string_body>> serializer_;
};

}  // namespace

class HttpEndpoint::Impl {
 public:
  explicit Impl(HttpRoutes routes) : routes_(std::move(routes)) {}
  ~Impl() {
    context_.stop();
    if (thread_.joinable()) thread_.join();
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void listen(const tcp::endpoint& endpoint) {
    acceptor_.open(endpoint.protocol());
    acceptor_.set_option(asio::socket_base::reuse_address(true));
    if (endpoint.address().is_v6()) acceptor_.set_option(asio::ip::v6_only(false));
    acceptor_.bind(endpoint);
    acceptor_.listen();
    port_ = acceptor_.local_endpoint().port();
  }

  void run() {
    accept();
    thread_ = std::thread([this] {
      pthread_setname_np(pthread_self(), "http");
      context_.run();
    });
  }

  [[nodiscard]] std::uint16_t port() const { return port_; }

 private:
  void accept() {
    acceptor_.async_accept([this](beast::error_code error, tcp::socket socket) {
      if (error) return pause();
      if (open_ < kMaxConnections) {  // else the socket closes here
        std::make_shared<Session>(std::move(socket), routes_, open_)->read();
      }
      accept();
    });
  }

  void pause() {
    timer_.expires_after(kAcceptPause);
    timer_.async_wait([this](beast::error_code error) {
      if (!error) accept();
    });
  }

  // Before context_: sessions that die with it still count themselves out.
  HttpRoutes routes_;
  std::size_t open_ = 0;
  std::uint16_t port_ = 0;
  asio::io_context context_{1};
  tcp::acceptor acceptor_{context_};
  asio::steady_timer timer_{context_};
  std::thread thread_;
};

Result<std::unique_ptr<HttpEndpoint>, std::string> HttpEndpoint::start(const std::string& listen,
                                                                       HttpRoutes routes) {
  const auto where = parse_host_port(listen);
  beast::error_code bad;
  const auto address = where ? asio::ip::make_address(where->host, bad) : asio::ip::address{};
  if (!where || bad) {
    return failure("management address \"" + listen +
                   "\" is not ADDRESS:PORT: write for example 127.0.0.1:9464 or [::]:9464");
  }
  auto impl = std::make_unique<Impl>(std::move(routes));
  try {
    impl->listen({address, where->port});
  } catch (const boost::system::system_error& e) {
    return failure("cannot listen on " + listen + ": " + e.code().message() +
                   ": choose a free port or an address of this machine");
  }
  impl->run();
  return std::unique_ptr<HttpEndpoint>(new HttpEndpoint(std::move(impl)));
}

HttpEndpoint::HttpEndpoint(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpEndpoint::~HttpEndpoint() = default;
std::uint16_t HttpEndpoint::port() const {
  return impl_->port();
}

}  // namespace isthmus
