// SPDX-License-Identifier: Apache-2.0
// Limits: 64 connections, 8 KiB of request line and headers, no request body unless a handler takes one, 10 s
// for a handshake, for a request to arrive and for an answer to leave. A client that breaks one loses its
// connection and nobody else notices.
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
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>

#include "common/net/host_port.hpp"
#include "common/telemetry/http_tls.hpp"

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

constexpr const char* kText = "text/plain; charset=utf-8";

// What a connection serves: pages to look at, or an API.
struct Service {
  HttpHandler handler;
  std::size_t max_body = 0;
  bool only_get = true;
};

HttpHandler handler_of(HttpRoutes routes) {
  return [routes = std::move(routes)](const HttpRequest& request) {
    const auto route = routes.find(request.path);
    return route == routes.end() ? HttpReply{404, kText, "no such page\n"} : route->second();
  };
}

HttpReply run_handler(const HttpHandler& handler, const HttpRequest& request) {
  try {
    return handler(request);
  } catch (const std::exception& e) {
    spdlog::error("management HTTP: the handler of {} failed: {}", request.path, e.what());
    return {500, kText, "internal error\n"};
  }
}

// One connection: read, answer, again while the peer keeps it alive. Owned by its pending operation. Stream
// is a tcp_stream, or an ssl_stream over one.
template <class Stream>
class Session : public std::enable_shared_from_this<Session<Stream>> {
  static constexpr bool kTls = !std::is_same_v<Stream, beast::tcp_stream>;

 public:
  template <class... Rest>
  Session(const Service& service, std::size_t& open, std::shared_ptr<asio::ssl::context> context,
          Rest&&... rest)
      : context_(std::move(context)), stream_(std::forward<Rest>(rest)...), service_(service), open_(open) {
    ++open_;
  }
  ~Session() { --open_; }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void begin() {
    if constexpr (kTls) {
      beast::get_lowest_layer(stream_).expires_after(kPatience);
      stream_.async_handshake(asio::ssl::stream_base::server,
                              [self = this->shared_from_this()](beast::error_code error) {
                                if (error) return;  // a peer that fails it gets no words
                                self->names_ = peer_dns_names(self->stream_.native_handle());
                                self->read();
                              });
    } else {
      read();
    }
  }

 private:
  void read() {
    parser_.emplace();
    parser_->header_limit(kMaxHeader);
    parser_->body_limit(service_.max_body);
    beast::get_lowest_layer(stream_).expires_after(kPatience);
    http::async_read_header(
        stream_, buffer_, *parser_,
        [self = this->shared_from_this()](beast::error_code error, std::size_t) { self->on_header(error); });
  }

  void on_header(beast::error_code error) {
    if (error) return on_read(error);
    // RFC 9112 §6.3 lets a server ask for Content-Length; Beast's parser takes what follows the last chunk
    // for granted (its assertions fail on hostile bytes there).
    if (parser_->chunked()) return write({411, kText, "say Content-Length, not chunks\n"}, false, false);
    http::async_read(
        stream_, buffer_, *parser_,
        [self = this->shared_from_this()](beast::error_code failed, std::size_t) { self->on_read(failed); });
  }

  void on_read(beast::error_code error) {
    if (!error) return answer();
    const bool too_big = error == http::error::header_limit || error == http::error::body_limit ||
                         error == http::error::buffer_overflow;
    // A peer that closed, timed out or sent no HTTP at all gets no words.
    if (!too_big && error != http::error::unexpected_body) return;
    write({too_big ? 413U : 400U, kText, "request too large\n"}, false, false);
  }

  void answer() {
    const auto& request = parser_->get();
    const bool head = request.method() == http::verb::head;
    if (service_.only_get && !head && request.method() != http::verb::get) {
      return write({405, kText, "only GET and HEAD\n"}, head, request.keep_alive());
    }
    const std::string_view target{request.target().data(), request.target().size()};
    const auto mark = target.find('?');
    HttpRequest asked;
    asked.method = {request.method_string().data(), request.method_string().size()};
    asked.path = target.substr(0, mark);
    asked.query = mark == std::string_view::npos ? std::string_view{} : target.substr(mark + 1);
    asked.body = request.body();
    asked.peer = peer();
    asked.tls = kTls;
    asked.certificate_names = names_;
    write(run_handler(service_.handler, asked), head, request.keep_alive());
  }

  [[nodiscard]] std::string peer() {
    beast::error_code error;
    const auto end = beast::get_lowest_layer(stream_).socket().remote_endpoint(error);
    return error ? std::string{"gone"} : end.address().to_string() + ":" + std::to_string(end.port());
  }

  void write(HttpReply reply, bool head, bool keep_alive) {
    response_ = {static_cast<http::status>(reply.status), 11};
    response_.set(http::field::content_type, reply.content_type);
    response_.set(http::field::cache_control, "no-store");
    if (reply.status == 405 && service_.only_get) response_.set(http::field::allow, "GET, HEAD");
    response_.keep_alive(keep_alive);
    response_.content_length(reply.body.size());
    if (!head) response_.body() = std::move(reply.body);
    serializer_.emplace(response_);
    serializer_->split(head);  // a HEAD answer ends after its headers (RFC 9110 §9.3.2)
    beast::get_lowest_layer(stream_).expires_after(kPatience);
    auto done = [self = this->shared_from_this(), keep_alive](beast::error_code error, std::size_t) {
      if (!error && keep_alive) self->read();
    };
    if (head) {
      http::async_write_header(stream_, *serializer_, std::move(done));
    } else {
      http::async_write(stream_, *serializer_, std::move(done));
    }
  }

  const std::shared_ptr<asio::ssl::context> context_;  // outlives the stream that uses it
  Stream stream_;
  const Service& service_;
  std::size_t& open_;
  std::vector<std::string> names_;
  beast::flat_buffer buffer_{2 * kMaxHeader};
  std::optional<http::request_parser<http::string_body>> parser_;
  http::response<http::string_body> response_;
  std::optional<http::response_serializer<http::string_body>> serializer_;
};

}  // namespace

class HttpEndpoint::Impl {
 public:
  Impl(Service service, std::unique_ptr<HttpTlsContext> tls)
      : service_(std::move(service)), tls_(std::move(tls)) {}
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
      if (open_ < kMaxConnections) serve(std::move(socket));  // else the socket closes here
      accept();
    });
  }

  void serve(tcp::socket socket) {
    if (tls_ == nullptr) {
      return std::make_shared<Session<beast::tcp_stream>>(service_, open_, nullptr, std::move(socket))
          ->begin();
    }
    auto context = tls_->current();
    auto& reference = *context;
    std::make_shared<Session<beast::ssl_stream<beast::tcp_stream>>>(service_, open_, std::move(context),
                                                                    std::move(socket), reference)
        ->begin();
  }

  void pause() {
    timer_.expires_after(kAcceptPause);
    timer_.async_wait([this](beast::error_code error) {
      if (!error) accept();
    });
  }

  // Before context_: sessions that die with it still count themselves out.
  const Service service_;
  const std::unique_ptr<HttpTlsContext> tls_;
  std::size_t open_ = 0;
  std::uint16_t port_ = 0;
  asio::io_context context_{1};
  tcp::acceptor acceptor_{context_};
  asio::steady_timer timer_{context_};
  std::thread thread_;
};

Result<std::unique_ptr<HttpEndpoint>, std::string> HttpEndpoint::open(const std::string& listen,
                                                                      std::unique_ptr<Impl> impl) {
  const auto where = parse_host_port(listen);
  beast::error_code bad;
  const auto address = where ? asio::ip::make_address(where->host, bad) : asio::ip::address{};
  if (!where || bad) {
    return failure("management address \"" + listen +
                   "\" is not ADDRESS:PORT: write for example 127.0.0.1:9464 or [::]:9464");
  }
  try {
    impl->listen({address, where->port});
  } catch (const boost::system::system_error& e) {
    return failure("cannot listen on " + listen + ": " + e.code().message() +
                   ": choose a free port or an address of this machine");
  }
  impl->run();
  return std::unique_ptr<HttpEndpoint>(new HttpEndpoint(std::move(impl)));
}

Result<std::unique_ptr<HttpEndpoint>, std::string> HttpEndpoint::start(const std::string& listen,
                                                                       HttpRoutes routes) {
  return open(listen, std::make_unique<Impl>(Service{handler_of(std::move(routes))}, nullptr));
}

Result<std::unique_ptr<HttpEndpoint>, std::string> HttpEndpoint::start(const std::string& listen,
                                                                       HttpHandler handler,
                                                                       std::size_t max_body,
                                                                       const HttpTls& tls) {
  std::unique_ptr<HttpTlsContext> context;
  if (!tls.ca.empty() || !tls.certificate.empty() || !tls.key.empty()) {
    context = std::make_unique<HttpTlsContext>(tls);
    if (const auto loaded = context->load(); !loaded) return failure(loaded.error());
  }
  return open(listen,
              std::make_unique<Impl>(Service{std::move(handler), max_body, false}, std::move(context)));
}

HttpEndpoint::HttpEndpoint(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpEndpoint::~HttpEndpoint() = default;
std::uint16_t HttpEndpoint::port() const {
  return impl_->port();
}

}  // namespace isthmus
