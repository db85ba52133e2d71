// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/status/read_request.hpp"

namespace isthmus::nat64 {
namespace {

std::optional<Protocol> read(v1::TransportProtocol protocol) {
  if (protocol == v1::TCP_FLOW) return Protocol::kTcp;
  if (protocol == v1::UDP_FLOW) return Protocol::kUdp;
  if (protocol == v1::ICMP_FLOW) return Protocol::kIcmp;
  return std::nullopt;
}

// An empty text is no wish.
template <class Prefix>
Result<std::optional<Prefix>, std::string> read(const char* field, const std::string& text,
                                                const char* like) {
  if (text.empty()) return std::optional<Prefix>{};
  const auto prefix = Prefix::parse(text);
  if (!prefix)
    return failure(std::string(field) + ": \"" + text + "\" is no address or prefix such as " + like);
  return prefix;
}

Result<std::optional<std::uint16_t>, std::string> read_port(const char* field, std::uint32_t port) {
  if (port > 65535) return failure(std::string(field) + ": at most 65535");
  return port == 0 ? std::nullopt : std::optional{static_cast<std::uint16_t>(port)};
}

constexpr const char* kLike4 = "198.51.100.0/24";
constexpr const char* kLike6 = "2001:db8:1::/64";

}  // namespace

Result<Filter, std::string> read_filter(const v1::ListTablesRequest& request) {
  const auto client6 = read<Ipv6Prefix>("client6", request.client6(), kLike6);
  if (!client6) return failure(client6.error());
  const auto public4 = read<Ipv4Prefix>("public4", request.public4(), kLike4);
  if (!public4) return failure(public4.error());
  const auto server4 = read<Ipv4Prefix>("server4", request.server4(), kLike4);
  if (!server4) return failure(server4.error());
  const auto public_port = read_port("public_port", request.public_port());
  if (!public_port) return failure(public_port.error());
  const auto server_port = read_port("server_port", request.server_port());
  if (!server_port) return failure(server_port.error());
  Filter filter;
  filter.protocol = read(request.protocol());
  filter.client6 = *client6;
  filter.public4 = *public4;
  filter.port4 = *public_port;
  filter.server4 = *server4;
  filter.server_port = *server_port;
  return filter;
}

Result<CaptureFilter, std::string> read_filter(const v1::CaptureRequest& request) {
  const auto client6 = read<Ipv6Prefix>("client6", request.client6(), kLike6);
  if (!client6) return failure(client6.error());
  const auto server4 = read<Ipv4Prefix>("server4", request.server4(), kLike4);
  if (!server4) return failure(server4.error());
  const auto port = read_port("port", request.port());
  if (!port) return failure(port.error());
  return CaptureFilter{read(request.protocol()), *client6, *server4, *port};
}

v1::TransportProtocol flow_protocol(Protocol protocol) {
  return protocol == Protocol::kTcp   ? v1::TCP_FLOW
         : protocol == Protocol::kUdp ? v1::UDP_FLOW
                                      : v1::ICMP_FLOW;
}

}  // namespace isthmus::nat64
