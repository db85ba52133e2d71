// SPDX-License-Identifier: Apache-2.0
#include "isthmusctl/nat64_cli.hpp"

#include <cctype>
#include <iostream>

#include "isthmusctl/nat64_commands.hpp"

namespace isthmus {

struct Nat64Cli::Values {
  std::string target = "127.0.0.1:9465";
  std::string format = "table";
  std::string protocol;
  std::string client6, public4, server4, endpoint, hex, file;
  std::uint32_t public_port = 0, server_port = 0, limit = 0;
  std::string from, to, flags;
  std::uint32_t length = 0, hop_limit = 64, port = 0, packets = 0, seconds = 0, snap = 0;
  bool dont_fragment = false, whole_policy = false;
  CLI::App *status = nullptr, *mappings = nullptr, *sessions = nullptr, *find = nullptr, *explain = nullptr,
           *capture = nullptr, *who_had = nullptr;
  std::vector<std::string> events;
  std::string at;
};

namespace {

v1::TransportProtocol protocol_of(const std::string& text) {
  if (text == "tcp") return v1::TCP_FLOW;
  if (text == "udp") return v1::UDP_FLOW;
  if (text == "icmp") return v1::ICMP_FLOW;
  return v1::TRANSPORT_PROTOCOL_UNSPECIFIED;
}

std::optional<std::string> bytes_of(const std::string& hex) {
  std::string out;
  std::string digits;
  for (const char c : hex) {
    if (c == ' ' || c == ':' || c == '\n') continue;
    if (std::isxdigit(static_cast<unsigned char>(c)) == 0) return std::nullopt;
    digits += c;
    if (digits.size() < 2) continue;
    out += static_cast<char>(std::stoi(digits, nullptr, 16));
    digits.clear();
  }
  return digits.empty() ? std::optional{out} : std::nullopt;
}

}  // namespace

Nat64Cli::Nat64Cli(CLI::App& app) : values_(std::make_unique<Values>()) {
  auto& v = *values_;
  const auto command = [&](const char* name, const char* what) {
    auto* sub = app.add_subcommand(name, what);
    sub->add_option("--nat64", v.target, "--grpc-listen of the node's nat64-svc, HOST:PORT")
        ->envname("ISTHMUS_NAT64")
        ->capture_default_str();
    return sub;
  };
  const auto output = [&](CLI::App* sub) {
    sub->add_option("-o,--output", v.format, "table or json")
        ->check(CLI::IsMember({"table", "json"}))
        ->capture_default_str();
  };
  const auto protocol = [&](CLI::App* sub) {
    return sub->add_option("--protocol", v.protocol, "tcp, udp or icmp")
        ->check(CLI::IsMember({"tcp", "udp", "icmp"}));
  };
  v.status = command("status", "what a NAT64 node runs: policy, addresses, workers");
  output(v.status);
  v.status->add_flag("--policy", v.whole_policy,
                     "the whole policy that runs, every default written out, as YAML");
  v.mappings = command("mappings", "list the mappings (BIB entries) of a NAT64 node");
  v.sessions = command("sessions", "list the sessions of a NAT64 node");
  for (auto* sub : {v.mappings, v.sessions}) {
    output(sub);
    protocol(sub);
    sub->add_option("--client6", v.client6, "only of this client: address or prefix");
    sub->add_option("--public4", v.public4, "only with this public address or prefix");
    sub->add_option("--public-port", v.public_port, "only with this public port");
    sub->add_option("--limit", v.limit, "at most this many");
  }
  v.sessions->add_option("--server4", v.server4, "only to this server: address or prefix");
  v.sessions->add_option("--server-port", v.server_port, "only to this port");
  v.find = command("find", "who has a public address and port now, or what a client is mapped to");
  output(v.find);
  v.find->add_option("ENDPOINT", v.endpoint, "203.0.113.5:40001, [2001:db8::5]:40000, or a bare address")
      ->required();
  v.explain = command("explain-packet", "what would happen to a packet, step by step");
  output(v.explain);
  protocol(v.explain)->capture_default_str();
  v.explain->add_option("--from", v.from, "source, e.g. [2001:db8::5]:40000");
  v.explain->add_option("--to", v.to, "destination, e.g. [64:ff9b::203.0.113.9]:80");
  v.explain->add_option("--flags", v.flags, "TCP flags: syn,ack,fin,rst; syn unless said");
  v.explain->add_option("--length", v.length, "bytes of payload");
  v.explain->add_option("--hop-limit", v.hop_limit, "hop limit or TTL")->capture_default_str();
  v.explain->add_flag("--dont-fragment", v.dont_fragment, "IPv4: set DF");
  v.explain->add_option("--hex", v.hex, "the whole packet in hexadecimal, from the IP header on");
  v.capture = command("capture", "write a node's packets before and after translation, as pcapng");
  protocol(v.capture);
  v.capture->add_option("--client6", v.client6, "only of this client: address or prefix");
  v.capture->add_option("--server4", v.server4, "only of this server: address or prefix");
  v.capture->add_option("--port", v.port, "only with this port, on either side");
  v.capture->add_option("--packets", v.packets, "end after so many; 1000 unless said");
  v.capture->add_option("--seconds", v.seconds, "end after so long; 60 unless said");
  v.capture->add_option("--snap", v.snap, "bytes kept of each packet; 256 unless said");
  v.capture->add_option("-w,--write", v.file, "file, - for standard output")->required();
  v.who_had = app.add_subcommand("who-had", "who had a public address and port at a time, from event files");
  v.who_had->add_option("--events", v.events, "files that nat64-svc --events wrote; - for standard input")
      ->required();
  v.who_had->add_option("--at", v.at, "UTC, 2026-01-31T12:00:00Z")->required();
  v.who_had->add_option("ENDPOINT", v.endpoint, "203.0.113.5:40001")->required();
}

Nat64Cli::~Nat64Cli() = default;

std::optional<int> Nat64Cli::run(const TlsFiles& tls) {
  const auto& v = *values_;
  const Nat64Address node{v.target, tls};
  const auto format = parse_format(v.format).value();
  if (*v.status) return v.whole_policy ? running_policy_command(node, format) : status_command(node, format);
  if (*v.mappings || *v.sessions) {
    v1::ListTablesRequest filter;
    filter.set_protocol(protocol_of(v.protocol));
    filter.set_client6(v.client6);
    filter.set_public4(v.public4);
    filter.set_public_port(v.public_port);
    filter.set_server4(v.server4);
    filter.set_server_port(v.server_port);
    filter.set_limit(v.limit);
    return *v.mappings ? mappings_command(node, filter, format) : sessions_command(node, filter, format);
  }
  if (*v.who_had) return who_had_command(v.events, v.endpoint, v.at);
  if (*v.find) return find_command(node, v.endpoint, format);
  if (*v.explain) {
    v1::ExplainPacketRequest request;
    const auto bytes = bytes_of(v.hex);
    if (!bytes || (v.hex.empty() && (v.from.empty() || v.to.empty()))) {
      std::cerr << "isthmusctl: give --from and --to, or --hex with whole bytes\n";
      return 2;
    }
    request.set_packet(*bytes);
    auto& words = *request.mutable_description();
    words.set_protocol(protocol_of(v.protocol));
    words.set_source(v.from);
    words.set_destination(v.to);
    words.set_tcp_flags(v.flags);
    words.set_length(v.length);
    words.set_hop_limit(v.hop_limit);
    words.set_dont_fragment(v.dont_fragment);
    return explain_command(node, request, format);
  }
  if (*v.capture) {
    v1::CaptureRequest request;
    request.set_protocol(protocol_of(v.protocol));
    request.set_client6(v.client6);
    request.set_server4(v.server4);
    request.set_port(v.port);
    request.set_max_packets(v.packets);
    request.set_max_seconds(v.seconds);
    request.set_snap_length(v.snap);
    return capture_command(node, request, v.file);
  }
  return std::nullopt;
}

}  // namespace isthmus
