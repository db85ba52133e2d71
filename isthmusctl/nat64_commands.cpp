// SPDX-License-Identifier: Apache-2.0
#include "isthmusctl/nat64_commands.hpp"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <fstream>
#include <iostream>
#include <memory>

#include "common/control/tls_credentials.hpp"
#include "common/net/host_port.hpp"
#include "common/net/ipv4_address.hpp"
#include "common/net/ipv6_address.hpp"
#include "isthmus/v1/nat64_status.grpc.pb.h"
#include "isthmusctl/nat64_view.hpp"
#include "isthmusctl/table.hpp"
#include "isthmusctl/who_had.hpp"

namespace isthmus {
namespace {

constexpr int kNothing = 1;
constexpr int kCannotAsk = 2;
constexpr int kTableRows = 10000;        // of a list without --limit
constexpr int kMostReceived = 64 << 20;  // a policy of the largest size, every default written out

int complain(const std::string& problem) {
  std::cerr << "isthmusctl: " << problem << "\n";
  return kCannotAsk;
}

int explain(const Nat64Address& node, const grpc::Status& status) {
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE ||
      status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
    return complain("no answer from nat64-svc at " + node.target + " (" + status.error_message() +
                    "): is it running there? Say where with --nat64 HOST:PORT or ISTHMUS_NAT64");
  }
  return complain("nat64-svc refused: " + status.error_message());
}

// then(stub) returns the exit code.
template <class Then>
int with_node(const Nat64Address& node, Then&& then) {
  const auto credentials = channel_credentials(node.tls);
  if (!credentials) return complain(credentials.error());
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMostReceived);
  const auto stub = v1::Nat64Status::NewStub(grpc::CreateCustomChannel(node.target, *credentials, arguments));
  return then(*stub);
}

std::chrono::system_clock::time_point within(std::chrono::seconds time) {
  return std::chrono::system_clock::now() + time;
}

int print(const std::string& text) {
  std::cout << text << std::flush;
  return 0;
}

// Gathers a streamed list in one message: a table needs all its rows to know how wide it is.
template <class Chunk, class Call, class Merge>
int list(const Nat64Address& node, v1::ListTablesRequest filter, Format format, Call call, Merge merge) {
  const bool limited = filter.limit() == 0;
  if (limited) filter.set_limit(kTableRows);
  return with_node(node, [&](v1::Nat64Status::Stub& stub) {
    grpc::ClientContext context;
    context.set_deadline(within(std::chrono::seconds{60}));
    const auto reader = (stub.*call)(&context, filter);
    Chunk all;
    for (Chunk chunk; reader->Read(&chunk);) all.MergeFrom(chunk);
    if (const auto status = reader->Finish(); !status.ok()) return explain(node, status);
    const int done = print(show(all, format));
    if (limited && merge(all) >= kTableRows)
      std::cerr << "isthmusctl: the first " << kTableRows << "; --limit N shows more\n";
    return done;
  });
}

}  // namespace

int status_command(const Nat64Address& node, Format format) {
  return with_node(node, [&](v1::Nat64Status::Stub& stub) {
    grpc::ClientContext context;
    context.set_deadline(within(std::chrono::seconds{5}));
    v1::GetNat64StatusResponse answer;
    const auto status = stub.GetStatus(&context, {}, &answer);
    return status.ok() ? print(show(answer, format)) : explain(node, status);
  });
}

int running_policy_command(const Nat64Address& node, Format format) {
  return with_node(node, [&](v1::Nat64Status::Stub& stub) {
    grpc::ClientContext context;
    context.set_deadline(within(std::chrono::seconds{5}));
    v1::RunningPolicy answer;
    const auto status = stub.GetRunningPolicy(&context, {}, &answer);
    if (status.error_code() == grpc::StatusCode::NOT_FOUND) {
      (void)complain(status.error_message());
      return kNothing;
    }
    return status.ok() ? print(show(answer, format)) : explain(node, status);
  });
}

int mappings_command(const Nat64Address& node, const v1::ListTablesRequest& filter, Format format) {
  return list<v1::MappingChunk>(
      node, filter, format,
      static_cast<std::unique_ptr<grpc::ClientReader<v1::MappingChunk>> (v1::Nat64Status::Stub::*)(
          grpc::ClientContext*, const v1::ListTablesRequest&)>(&v1::Nat64Status::Stub::ListMappings),
      [](const v1::MappingChunk& all) { return all.mappings_size(); });
}

int sessions_command(const Nat64Address& node, const v1::ListTablesRequest& filter, Format format) {
  return list<v1::SessionChunk>(
      node, filter, format,
      static_cast<std::unique_ptr<grpc::ClientReader<v1::SessionChunk>> (v1::Nat64Status::Stub::*)(
          grpc::ClientContext*, const v1::ListTablesRequest&)>(&v1::Nat64Status::Stub::ListSessions),
      [](const v1::SessionChunk& all) { return all.sessions_size(); });
}

int find_command(const Nat64Address& node, const std::string& endpoint, Format format) {
  if (Ipv6Address::parse(endpoint) || Ipv4Address::parse(endpoint)) {
    v1::ListTablesRequest filter;
    (Ipv6Address::parse(endpoint) ? filter.mutable_client6() : filter.mutable_public4())->assign(endpoint);
    return mappings_command(node, filter, format);
  }
  return with_node(node, [&](v1::Nat64Status::Stub& stub) {
    grpc::ClientContext context;
    context.set_deadline(within(std::chrono::seconds{5}));
    v1::FindRequest request;
    request.set_endpoint(endpoint);
    v1::FindResponse answer;
    if (const auto status = stub.Find(&context, request, &answer); !status.ok()) return explain(node, status);
    print(show(answer, endpoint, format));
    return answer.mappings().empty() && answer.block_subscriber().empty() ? kNothing : 0;
  });
}

int explain_command(const Nat64Address& node, const v1::ExplainPacketRequest& request, Format format) {
  return with_node(node, [&](v1::Nat64Status::Stub& stub) {
    grpc::ClientContext context;
    context.set_deadline(within(std::chrono::seconds{5}));
    v1::ExplainPacketResponse answer;
    if (const auto status = stub.ExplainPacket(&context, request, &answer); !status.ok())
      return explain(node, status);
    print(show(answer, format));
    return answer.verdict() == "forward" || answer.verdict() == "held" ? 0 : kNothing;
  });
}

int capture_command(const Nat64Address& node, const v1::CaptureRequest& request, const std::string& file) {
  std::ofstream to_file;
  if (file != "-") to_file.open(file, std::ios::binary | std::ios::trunc);
  std::ostream& out = file == "-" ? std::cout : to_file;
  if (!out) return complain("cannot write " + file + ": check the path and its permissions");
  return with_node(node, [&](v1::Nat64Status::Stub& stub) {
    grpc::ClientContext context;
    const auto reader = stub.Capture(&context, request);
    std::uint64_t packets = 0, lost = 0;
    for (v1::CaptureChunk chunk; reader->Read(&chunk);) {
      out << chunk.pcapng() << std::flush;
      if (!out) {
        context.TryCancel();
        return complain("cannot write " + file + ": is the disk full?");
      }
      packets = chunk.packets();
      lost = chunk.lost();
    }
    if (const auto status = reader->Finish(); !status.ok()) return explain(node, status);
    std::cerr << packets << " packets captured, " << lost << " copies lost\n";
    return 0;
  });
}

int who_had_command(const std::vector<std::string>& files, const std::string& endpoint,
                    const std::string& at) {
  const auto parsed = parse_host_port(endpoint);
  const auto public4 = parsed ? Ipv4Address::parse(parsed->host) : std::nullopt;
  if (!public4)
    return complain("\"" + endpoint + "\" is no public address and port such as 203.0.113.5:40001");
  const auto time = record_time(at);
  if (!time) return complain("--at \"" + at + "\" is no UTC time such as 2026-01-31T12:00:00Z");
  WhoHad who({*public4, parsed->port}, *time);
  for (const auto& file : files) {
    std::ifstream in_file;
    if (file != "-") in_file.open(file);
    std::istream& in = file == "-" ? std::cin : in_file;
    if (!in) return complain("cannot read " + file + ": check the path and its permissions");
    for (std::string line; std::getline(in, line);) who.add(line);
  }
  if (who.unreadable() > 0)
    std::cerr << "isthmusctl: " << who.unreadable() << " lines are no event records\n";
  const auto holders = who.answer();
  if (holders.empty()) {
    print(endpoint + " at " + at + ": nobody, as far as these files tell\n");
    return kNothing;
  }
  Table table{{"SUBSCRIBER", "PROTOCOL", "NODE", "FROM", "UNTIL"}};
  for (const auto& h : holders) {
    table.add({h.subscriber, h.protocol.empty() ? "all" : h.protocol, h.node, h.from,
               h.until.empty() ? "still, as far as these files tell"
               : h.certain     ? h.until
                               : "at the latest " + h.until});
  }
  return print(table.text());
}

}  // namespace isthmus
