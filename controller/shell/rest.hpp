// SPDX-License-Identifier: Apache-2.0
// The Admin API as REST and JSON, made from its descriptors: a method added to admin.proto is served and
// documented without another line here.
//
//   GET  /api/v1/nodes            Admin.ListNodes; fields of the request in the query: ?pool=public
//   POST /api/v1/validate         Admin.Validate, the request as the body
//   GET  /api/v1/openapi.json     what there is, as OpenAPI 3.0
//
// A method that reads under the name Get... or List... is a GET of what it names; every other one a POST of
// the verb; streams are for gRPC only.
#pragma once

#include <google/protobuf/descriptor.h>
#include <grpcpp/channel.h>

#include <memory>
#include <string>
#include <vector>

#include "common/telemetry/http_endpoint.hpp"

namespace isthmus::controller {

struct RestRoute {
  std::string verb;  // "GET" or "POST"
  std::string path;  // "/api/v1/nodes"
  const google::protobuf::MethodDescriptor* method = nullptr;
};

[[nodiscard]] std::vector<RestRoute> rest_routes(const google::protobuf::ServiceDescriptor& service);
[[nodiscard]] std::string openapi_document(const std::vector<RestRoute>& routes, const std::string& version);

// The JSON of a request made of a query string; an unknown field or a bad escape is an error, a sentence.
[[nodiscard]] Result<std::string, std::string> json_of_query(std::string_view query,
                                                             const google::protobuf::Descriptor& request);

// Answers through `channel`, which must lead to the Admin service in this process. Access is decided here,
// from the certificate of the HTTP client, by the rules for gRPC (controller/core/access.hpp).
[[nodiscard]] HttpHandler rest_handler(std::shared_ptr<grpc::Channel> channel, std::string version);

}  // namespace isthmus::controller
