// SPDX-License-Identifier: Apache-2.0
// Spoken to over a real loopback socket, byte by byte, as a scraper or an attacker would.
#include "common/telemetry/http_endpoint.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

namespace isthmus {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using tcp = boost::asio::ip::tcp;

std::unique_ptr<HttpEndpoint> start_endpoint(const std::string& listen = "127.0.0.1:0") {
  auto endpoint =
      HttpEndpoint::start(listen, {{"/healthz", [] { return HttpReply{200, "text/plain", "ok\n"}; }},
                                   {"/broken", []() -> HttpReply { throw std::runtime_error("no disk"); }}});
  EXPECT_TRUE(endpoint) << endpoint.error();
  return std::move(*endpoint);
}

class Client {
 public:
  Client(const char* address, std::uint16_t port) {
    socket_.connect({boost::asio::ip::make_address(address), port});
  }
  void send(std::string_view bytes) { boost::asio::write(socket_, boost::asio::buffer(bytes)); }
  std::string read_to_end() {
    std::string all;
    boost::system::error_code error;
    boost::asio::read(socket_, boost::asio::dynamic_buffer(all), error);
    return all;
  }

 private:
  boost::asio::io_context context_;
  tcp::socket socket_{context_};
};

std::string ask(const HttpEndpoint& endpoint, std::string_view request) {
  Client client{"127.0.0.1", endpoint.port()};
  client.send(request);
  return client.read_to_end();
}

TEST(HttpEndpoint, AnswersGetAndIgnoresTheQuery) {
  const auto endpoint = start_endpoint();
  const auto reply = ask(*endpoint, "GET /healthz?verbose HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(reply, EndsWith("\r\n\r\nok\n"));
}

TEST(HttpEndpoint, AnswersHeadWithLengthAndNoBody) {
  const auto endpoint = start_endpoint();
  const auto reply = ask(*endpoint, "HEAD /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(reply, HasSubstr("Content-Length: 3\r\n"));
  EXPECT_THAT(reply, EndsWith("\r\n\r\n"));
}

TEST(HttpEndpoint, NamesUnknownPathsAndMethods) {
  const auto endpoint = start_endpoint();
  EXPECT_THAT(ask(*endpoint, "GET /nothing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
              StartsWith("HTTP/1.1 404 "));
  const auto refused = ask(*endpoint, "DELETE /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(refused, StartsWith("HTTP/1.1 405 "));
  EXPECT_THAT(refused, HasSubstr("Allow: GET, HEAD\r\n"));
}

TEST(HttpEndpoint, KeepsTheConnectionForTheNextRequest) {
  const auto endpoint = start_endpoint();
  Client client{"127.0.0.1", endpoint->port()};
  client.send(
      "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\nGET /nothing HTTP/1.1\r\nHost: a\r\nConnection: "
      "close\r\n\r\n");
  const auto both = client.read_to_end();
  EXPECT_THAT(both, StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(both, HasSubstr("HTTP/1.1 404 "));
}

TEST(HttpEndpoint, AHandlerThatThrowsIsAnInternalErrorAndNoMore) {
  const auto endpoint = start_endpoint();
  const auto reply = ask(*endpoint, "GET /broken HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 500 "));
  EXPECT_THAT(reply, Not(HasSubstr("no disk")));
  EXPECT_THAT(ask(*endpoint, "GET /healthz HTTP/1.0\r\n\r\n"), StartsWith("HTTP/1.1 200 "));
}

TEST(HttpEndpoint, RefusesOversizedHeadersAndBodies) {
  const auto endpoint = start_endpoint();
  const std::string long_header = "GET / HTTP/1.1\r\nX: " + std::string(9000, 'a') + "\r\n\r\n";
  EXPECT_THAT(ask(*endpoint, long_header), StartsWith("HTTP/1.1 413 "));
  EXPECT_THAT(ask(*endpoint, "POST /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"),
              StartsWith("HTTP/1.1 413 "));
}

// What follows the last chunk made Beast's parser abort.
TEST(HttpEndpoint, ABodyInChunksIsAskedForItsLength) {
  const auto endpoint = start_endpoint();
  EXPECT_THAT(
      ask(*endpoint,
          "POST /healthz HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0h\r\nx\r\n\r@\r\n"),
      StartsWith("HTTP/1.1 411 "));
  EXPECT_THAT(ask(*endpoint, "GET /healthz HTTP/1.0\r\n\r\n"), StartsWith("HTTP/1.1 200 "));
}

TEST(HttpEndpoint, ClosesOnWhatIsNotHttp) {
  const auto endpoint = start_endpoint();
  EXPECT_EQ(ask(*endpoint, "\x16\x03\x01 hello\r\n\r\n"), "");
  EXPECT_THAT(ask(*endpoint, "GET /healthz HTTP/1.0\r\n\r\n"), StartsWith("HTTP/1.1 200 "));
}

TEST(HttpEndpoint, ConnectionsBeyondTheCapAreClosedAndTheRestServed) {
  const auto endpoint = start_endpoint();
  std::vector<std::unique_ptr<Client>> idle;
  for (int i = 0; i < 64; ++i) idle.push_back(std::make_unique<Client>("127.0.0.1", endpoint->port()));
  Client surplus{"127.0.0.1", endpoint->port()};
  EXPECT_EQ(surplus.read_to_end(), "");
  idle.front()->send("GET /healthz HTTP/1.0\r\n\r\n");
  EXPECT_THAT(idle.front()->read_to_end(), StartsWith("HTTP/1.1 200 "));
}

TEST(HttpEndpoint, TheWildcardAddressServesIpv4AndIpv6) {
  const auto endpoint = start_endpoint("[::]:0");
  EXPECT_THAT(ask(*endpoint, "GET /healthz HTTP/1.0\r\n\r\n"), StartsWith("HTTP/1.1 200 "));
  Client client{"::1", endpoint->port()};
  client.send("GET /healthz HTTP/1.0\r\n\r\n");
  EXPECT_THAT(client.read_to_end(), StartsWith("HTTP/1.1 200 "));
}

TEST(HttpEndpoint, SaysHowToMendABadListenAddress) {
  const auto unreadable = HttpEndpoint::start("localhost", {});
  ASSERT_FALSE(unreadable);
  EXPECT_THAT(unreadable.error(), HasSubstr("127.0.0.1:9464"));
  const auto first = start_endpoint();
  const auto taken = HttpEndpoint::start("127.0.0.1:" + std::to_string(first->port()), {});
  ASSERT_FALSE(taken);
  EXPECT_THAT(taken.error(), HasSubstr("Address already in use"));
}

TEST(HttpEndpoint, AHandlerSeesMethodPathQueryAndBody) {
  const auto endpoint = HttpEndpoint::start(
      "127.0.0.1:0",
      [](const HttpRequest& r) {
        return HttpReply{201, "text/plain",
                         std::string{r.method} + "|" + std::string{r.path} + "|" + std::string{r.query} +
                             "|" + std::string{r.body} + "|" + (r.tls ? "tls" : "plain")};
      },
      16, {});
  ASSERT_TRUE(endpoint) << endpoint.error();
  const auto reply = ask(
      **endpoint, "POST /a/b?c=d HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nConnection: close\r\n\r\nxyz");
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 201 "));
  EXPECT_THAT(reply, EndsWith("\r\n\r\nPOST|/a/b|c=d|xyz|plain"));
}

TEST(HttpEndpoint, ABodyOverTheLimitIsRefused) {
  const auto endpoint =
      HttpEndpoint::start("127.0.0.1:0", [](const HttpRequest&) { return HttpReply{}; }, 16, {});
  ASSERT_TRUE(endpoint) << endpoint.error();
  EXPECT_THAT(ask(**endpoint, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 17\r\n\r\n12345678901234567"),
              StartsWith("HTTP/1.1 413 "));
}

TEST(HttpEndpoint, TlsFilesThatAreMissingAreNamed) {
  const auto endpoint = HttpEndpoint::start("127.0.0.1:0", [](const HttpRequest&) { return HttpReply{}; }, 16,
                                            {"/nowhere/ca.pem", "/nowhere/c", "/nowhere/k"});
  ASSERT_FALSE(endpoint);
  EXPECT_THAT(endpoint.error(), HasSubstr("/nowhere/ca.pem"));
}

}  // namespace
}  // namespace isthmus
