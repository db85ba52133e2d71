// SPDX-License-Identifier: Apache-2.0
#include "controller/shell/rest.hpp"

#include <google/protobuf/dynamic_message.h>
#include <google/protobuf/util/json_util.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <utility>

#include <nlohmann/json.hpp>

#include "controller/core/access.hpp"
#include "controller/shell/caller.hpp"
#include "isthmus/v1/admin.pb.h"

namespace isthmus::controller {
namespace {

constexpr const char* kJson = "application/json";
constexpr std::chrono::seconds kPatience{5};

struct CodeName {
  grpc::StatusCode code;
  unsigned http;
  const char* text;
};
constexpr std::array<CodeName, 9> kCodes{{{grpc::StatusCode::INVALID_ARGUMENT, 400, "invalid_argument"},
                                          {grpc::StatusCode::FAILED_PRECONDITION, 409, "failed_precondition"},
                                          {grpc::StatusCode::ABORTED, 409, "aborted"},
                                          {grpc::StatusCode::ALREADY_EXISTS, 409, "already_exists"},
                                          {grpc::StatusCode::PERMISSION_DENIED, 403, "permission_denied"},
                                          {grpc::StatusCode::NOT_FOUND, 404, "not_found"},
                                          {grpc::StatusCode::RESOURCE_EXHAUSTED, 429, "resource_exhausted"},
                                          {grpc::StatusCode::UNIMPLEMENTED, 501, "unimplemented"},
                                          {grpc::StatusCode::UNAVAILABLE, 503, "unavailable"}}};

HttpReply refusal(unsigned status, const std::string& code, const std::string& message) {
  return {status, kJson,
          nlohmann::ordered_json{{"code", code}, {"message", message}}.dump(
              -1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) +
              "\n"};
}

HttpReply refusal(const grpc::Status& status) {
  const auto* known = std::ranges::find(kCodes, status.error_code(), &CodeName::code);
  return known == kCodes.end() ? refusal(500, "internal", status.error_message())
                               : refusal(known->http, known->text, status.error_message());
}

std::string path_of(const google::protobuf::MethodDescriptor& method) {
  return "/" + method.service()->full_name() + "/" + method.name();
}

// One unary call of any method, bytes in and out.
grpc::Status call(grpc::GenericStub& stub, const std::string& path, const HttpRequest& asked,
                  const std::string& request, std::string& response) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kPatience);
  context.AddMetadata(kRelayedPeer, asked.peer);
  if (asked.tls) context.AddMetadata(kRelayedNames, joined(asked.certificate_names));
  grpc::CompletionQueue queue;
  const grpc::Slice sent{request};
  const auto pending = stub.PrepareUnaryCall(&context, path, grpc::ByteBuffer{&sent, 1}, &queue);
  grpc::ByteBuffer received;
  grpc::Status status;
  pending->StartCall();
  pending->Finish(&received, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  (void)queue.Next(&tag, &ok);
  grpc::Slice whole;
  if (status.ok() && received.DumpToSingleSlice(&whole).ok()) {
    response.assign(reinterpret_cast<const char*>(whole.begin()), whole.size());  // NOLINT: bytes of protobuf
  }
  return status;
}

class Rest {
 public:
  Rest(std::shared_ptr<grpc::Channel> channel, const std::string& version)
      : stub_(std::move(channel)),
        routes_(rest_routes(*v1::GetPolicyRequest::descriptor()->file()->FindServiceByName("Admin"))),
        openapi_(openapi_document(routes_, version)) {}

  HttpReply operator()(const HttpRequest& request) {
    const auto caller = request.tls ? Caller::certificate(request.certificate_names, request.peer)
                                    : Caller::plain_text(request.peer);
    if (const auto known = caller.may(Right::kGreet); !known)
      return refusal(403, "permission_denied", known.error());
    if (request.path == "/api/v1/openapi.json") return {200, kJson, openapi_};
    const auto same_path = [&](const RestRoute& route) { return route.path == request.path; };
    const auto route = std::ranges::find_if(routes_, same_path);
    if (route == routes_.end()) {
      return refusal(404, "not_found", "there is no such path: /api/v1/openapi.json lists those there are");
    }
    if (request.method != route->verb)
      return refusal(405, "method_not_allowed", "use " + route->verb + " here");
    const auto allowed = caller.may(right_needed(path_of(*route->method)));
    if (!allowed) {
      spdlog::warn("refused {} {}: {}", request.method, request.path, allowed.error());
      return refusal(403, "permission_denied", allowed.error());
    }
    return answer(request, *route->method);
  }

 private:
  HttpReply answer(const HttpRequest& request, const google::protobuf::MethodDescriptor& method) {
    auto json = request.method == "GET" ? json_of_query(request.query, *method.input_type())
                                        : Result<std::string, std::string>{std::string{request.body}};
    if (!json) return refusal(400, "invalid_argument", json.error());
    if (json->empty()) *json = "{}";
    const std::unique_ptr<google::protobuf::Message> question{
        factory_.GetPrototype(method.input_type())->New()};
    const auto parsed = google::protobuf::util::JsonStringToMessage(*json, question.get());
    if (!parsed.ok()) {
      return refusal(400, "invalid_argument",
                     "the request is not what " + method.input_type()->name() +
                         " looks like: " + std::string{parsed.message()});
    }
    std::string bytes;
    const auto status = call(stub_, path_of(method), request, question->SerializeAsString(), bytes);
    if (!status.ok()) return refusal(status);
    const std::unique_ptr<google::protobuf::Message> reply{
        factory_.GetPrototype(method.output_type())->New()};
    google::protobuf::util::JsonPrintOptions options;
    options.always_print_primitive_fields = true;
    options.preserve_proto_field_names = true;
    std::string text;
    if (!reply->ParseFromString(bytes) ||
        !google::protobuf::util::MessageToJsonString(*reply, &text, options).ok()) {
      return refusal(500, "internal", "the answer cannot be written as JSON");
    }
    return {200, kJson, text + "\n"};
  }

  grpc::GenericStub stub_;
  std::vector<RestRoute> routes_;
  std::string openapi_;
  google::protobuf::DynamicMessageFactory factory_;
};

}  // namespace

HttpHandler rest_handler(std::shared_ptr<grpc::Channel> channel, std::string version) {
  auto rest = std::make_shared<Rest>(std::move(channel), version);
  return [rest](const HttpRequest& request) { return (*rest)(request); };
}

}  // namespace isthmus::controller
