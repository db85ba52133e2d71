// SPDX-License-Identifier: Apache-2.0
#include "common/telemetry/health_command.hpp"

#include <chrono>
#include <cstdio>
#include <string>

#include <boost/asio/ip/tcp.hpp>

#include "common/base/startup_error.hpp"
#include "common/net/host_port.hpp"

namespace isthmus {
namespace {

constexpr std::chrono::seconds kPatience{5};
constexpr std::size_t kMaxReply = 65536;

std::string read_reply(std::istream& stream) {
  std::string reply;
  char byte = 0;
  while (reply.size() < kMaxReply && stream.get(byte)) reply += byte;
  return reply;
}

// "HTTP/1.1 503 Service Unavailable..." -> "503"; empty when it is not HTTP.
std::string_view status_of(std::string_view reply) {
  const auto space = reply.find(' ');
  if (reply.rfind("HTTP/1.", 0) != 0 || space == std::string_view::npos) return {};
  return reply.substr(space + 1, 3);
}

std::string_view body_of(std::string_view reply) {
  const auto end = reply.find("\r\n\r\n");
  auto body = end == std::string_view::npos ? std::string_view{} : reply.substr(end + 4);
  while (!body.empty() && body.back() == '\n') body.remove_suffix(1);
  return body;
}

}  // namespace

HealthAnswer ask_health(std::string_view address) {
  const std::string text(address);
  const auto where = parse_host_port(address);
  if (!where) return {false, text + " is not host:port"};
  boost::asio::ip::tcp::iostream stream;
  stream.expires_after(kPatience);
  stream.connect(where->host, std::to_string(where->port));
  if (!stream) {
    return {false, "nobody answers at " + text + " (" + stream.error().message() +
                       "): is the program running, with this --http-listen?"};
  }
  stream << "GET /readyz HTTP/1.0\r\nHost: health\r\n\r\n" << std::flush;
  const auto reply = read_reply(stream);
  const auto status = status_of(reply);
  if (status.empty()) return {false, text + " answers with something that is not HTTP, or not within 5 s"};
  return {status == "200", std::string(body_of(reply))};
}

std::optional<int> health_command(std::string_view program, std::string_view default_address, int argc,
                                  const char* const* argv) {
  if (argc < 2 || std::string_view(argv[1]) != "health") return std::nullopt;
  if (argc > 3) {
    (void)startup_error(program, "health takes one argument at most: the HOST:PORT of --http-listen");
    return 2;
  }
  const auto answer = ask_health(argc == 3 ? std::string_view(argv[2]) : default_address);
  std::fprintf(answer.ready ? stdout : stderr, "%s\n", answer.sentence.c_str());
  return answer.ready ? 0 : 1;
}

}  // namespace isthmus
