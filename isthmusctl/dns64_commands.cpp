// SPDX-License-Identifier: Apache-2.0
#include "isthmusctl/dns64_commands.hpp"

#include <google/protobuf/util/json_util.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <iostream>

#include "common/control/tls_credentials.hpp"
#include "isthmus/v1/dns64_status.grpc.pb.h"
#include "isthmusctl/dns64_view.hpp"

namespace isthmus {
namespace {

constexpr int kRefused = 1;
constexpr int kCannotAsk = 2;

int complain(const std::string& problem) {
  std::cerr << "isthmusctl: " << problem << "\n";
  return kCannotAsk;
}

int complain(const ControllerAddress& dns64, const grpc::Status& status) {
  if (status.error_code() == grpc::StatusCode::INVALID_ARGUMENT) {
    std::cerr << "isthmusctl: " << status.error_message() << "\n";
    return kRefused;
  }
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE)
    return complain(
        "no answer from dns64-svc at " + dns64.target + " (" + status.error_message() +
        "): is it running there? Say where with --dns64 HOST:PORT or ISTHMUS_DNS64 (its --grpc-listen)");
  return complain("dns64-svc refused: " + status.error_message());
}

// Connects and gives stub and context to `call`, whose result is the exit code.
template <class Call>
int with_stub(const ControllerAddress& dns64, std::chrono::seconds patience, Call call) {
  const auto credentials = channel_credentials(dns64.tls);
  if (!credentials) return complain(credentials.error());
  const auto stub = v1::Dns64Status::NewStub(grpc::CreateChannel(dns64.target, *credentials));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + patience);
  return call(*stub, context);
}

}  // namespace

int explain_dns_command(const ControllerAddress& dns64, const ExplainDns& question, bool json) {
  v1::ExplainDnsRequest request;
  request.set_name(question.name);
  request.set_type(question.type);
  request.set_client(question.client);
  request.set_dnssec_ok(question.dnssec_ok);
  request.set_checking_disabled(question.checking_disabled);
  return with_stub(dns64, std::chrono::seconds{10},
                   [&](v1::Dns64Status::Stub& stub, grpc::ClientContext& context) {
                     v1::ExplainDnsResponse response;
                     const auto status = stub.Explain(&context, request, &response);
                     if (!status.ok()) return complain(dns64, status);
                     std::cout << (json ? to_json(response) + "\n" : show(response));
                     return 0;
                   });
}

int dump_cache_command(const ControllerAddress& dns64, const std::string& under, std::uint32_t limit,
                       bool json) {
  v1::DumpCacheRequest request;
  request.set_under(under);
  request.set_limit(limit);
  return with_stub(dns64, std::chrono::minutes{5},
                   [&](v1::Dns64Status::Stub& stub, grpc::ClientContext& context) {
                     const auto reader = stub.DumpCache(&context, request);
                     v1::CacheEntry entry;
                     if (!json) std::cout << cache_heading();
                     while (reader->Read(&entry)) std::cout << (json ? to_json(entry) + "\n" : show(entry));
                     const auto status = reader->Finish();
                     return status.ok() ? 0 : complain(dns64, status);
                   });
}

int flush_cache_command(const ControllerAddress& dns64, const FlushCache& what) {
  const int given = (what.name.empty() ? 0 : 1) + (what.subtree.empty() ? 0 : 1) + (what.everything ? 1 : 0);
  if (given != 1) return complain("say what to flush: one of NAME, --subtree NAME, --all");
  v1::FlushCacheRequest request;
  if (what.everything)
    request.set_everything(true);
  else if (!what.subtree.empty())
    request.set_subtree(what.subtree);
  else
    request.set_name(what.name);
  return with_stub(dns64, std::chrono::seconds{30},
                   [&](v1::Dns64Status::Stub& stub, grpc::ClientContext& context) {
                     v1::FlushCacheResponse response;
                     const auto status = stub.FlushCache(&context, request, &response);
                     if (!status.ok()) return complain(dns64, status);
                     std::cout << response.flushed()
                               << (response.flushed() == 1 ? " entry flushed\n" : " entries flushed\n");
                     return 0;
                   });
}

}  // namespace isthmus
