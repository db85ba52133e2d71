// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cctype>

#include <nlohmann/json.hpp>

#include "controller/shell/rest.hpp"

namespace isthmus::controller {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using nlohmann::ordered_json;

// "LeaseHistory" -> "lease-history"
std::string kebab(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (std::isupper(static_cast<unsigned char>(c)) != 0) {
      if (!out.empty()) out += '-';
      out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    } else {
      out += c;
    }
  }
  return out;
}

ordered_json schema_of(const FieldDescriptor& field, bool element = false) {
  if (field.is_map()) {
    return {{"type", "object"}, {"additionalProperties", schema_of(*field.message_type()->map_value())}};
  }
  if (field.is_repeated() && !element) return {{"type", "array"}, {"items", schema_of(field, true)}};
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      return {{"type", "boolean"}};
    case FieldDescriptor::CPPTYPE_INT32:
    case FieldDescriptor::CPPTYPE_UINT32:
      return {{"type", "integer"}};
    case FieldDescriptor::CPPTYPE_INT64:
    case FieldDescriptor::CPPTYPE_UINT64:
      return {{"type", "string"}, {"format", "int64"}};  // as protobuf's JSON writes them
    case FieldDescriptor::CPPTYPE_DOUBLE:
    case FieldDescriptor::CPPTYPE_FLOAT:
      return {{"type", "number"}};
    case FieldDescriptor::CPPTYPE_STRING:
      return field.type() == FieldDescriptor::TYPE_BYTES
                 ? ordered_json{{"type", "string"}, {"format", "byte"}}
                 : ordered_json{{"type", "string"}};
    case FieldDescriptor::CPPTYPE_ENUM: {
      ordered_json names = ordered_json::array();
      for (int i = 0; i < field.enum_type()->value_count(); ++i)
        names.push_back(field.enum_type()->value(i)->name());
      return {{"type", "string"}, {"enum", std::move(names)}};
    }
    case FieldDescriptor::CPPTYPE_MESSAGE:
      break;
  }
  const auto& name = field.message_type()->full_name();
  if (name == "google.protobuf.Timestamp") return {{"type", "string"}, {"format", "date-time"}};
  if (name == "google.protobuf.Duration") return {{"type", "string"}, {"example", "300s"}};
  return {{"$ref", "#/components/schemas/" + field.message_type()->name()}};
}

void add_schema(ordered_json& schemas, const Descriptor& message) {
  if (message.full_name().starts_with("google.protobuf.") || schemas.contains(message.name())) return;
  schemas[message.name()] = {{"type", "object"}, {"additionalProperties", false}};
  ordered_json properties = ordered_json::object();
  for (int i = 0; i < message.field_count(); ++i) {
    const auto& field = *message.field(i);
    properties[field.name()] = schema_of(field);
    if (field.message_type() != nullptr && !field.is_map()) add_schema(schemas, *field.message_type());
  }
  schemas[message.name()]["properties"] = std::move(properties);
}

ordered_json parameters_of(const Descriptor& request) {
  ordered_json out = ordered_json::array();
  for (int i = 0; i < request.field_count(); ++i) {
    const auto& field = *request.field(i);
    if (field.message_type() != nullptr) continue;
    out.push_back(
        {{"name", field.name()}, {"in", "query"}, {"required", false}, {"schema", schema_of(field)}});
  }
  return out;
}

ordered_json operation_of(const RestRoute& route) {
  const auto reference = [](const Descriptor& message) {
    return ordered_json{
        {"application/json", {{"schema", {{"$ref", "#/components/schemas/" + message.name()}}}}}};
  };
  ordered_json operation{{"operationId", route.method->name()}};
  if (route.verb == "GET") {
    operation["parameters"] = parameters_of(*route.method->input_type());
  } else {
    operation["requestBody"] = {{"required", true}, {"content", reference(*route.method->input_type())}};
  }
  operation["responses"] = {
      {"200", {{"description", "done"}, {"content", reference(*route.method->output_type())}}},
      {"default",
       {{"description", "refused; the message says why and how to mend it"},
        {"content", {{"application/json", {{"schema", {{"$ref", "#/components/schemas/Error"}}}}}}}}}};
  return operation;
}

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

Result<std::string, std::string> unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i] == '+' ? ' ' : text[i];
      continue;
    }
    const int high = i + 2 < text.size() ? digit(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? digit(text[i + 2]) : -1;
    if (high < 0 || low < 0) return failure("bad escape in the query: " + std::string{text.substr(i, 3)});
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

}  // namespace

std::vector<RestRoute> rest_routes(const google::protobuf::ServiceDescriptor& service) {
  std::vector<RestRoute> out;
  for (int i = 0; i < service.method_count(); ++i) {
    const auto* method = service.method(i);
    if (method->client_streaming() || method->server_streaming()) continue;
    const std::string_view name{method->name()};
    const std::string_view noun = name.starts_with("Get")    ? name.substr(3)
                                  : name.starts_with("List") ? name.substr(4)
                                                             : std::string_view{};
    const bool reads = !noun.empty();
    out.push_back({reads ? "GET" : "POST", "/api/v1/" + kebab(reads ? noun : name), method});
  }
  return out;
}

std::string openapi_document(const std::vector<RestRoute>& routes, const std::string& version) {
  ordered_json schemas{
      {"Error",
       {{"type", "object"},
        {"properties", {{"code", {{"type", "string"}}}, {"message", {{"type", "string"}}}}}}}};
  ordered_json paths = ordered_json::object();
  for (const auto& route : routes) {
    add_schema(schemas, *route.method->input_type());
    add_schema(schemas, *route.method->output_type());
    auto verb = route.verb == "GET" ? "get" : "post";
    paths[route.path][verb] = operation_of(route);
  }
  return ordered_json{{"openapi", "3.0.3"},
                      {"info", {{"title", "Isthmus controller"}, {"version", version}}},
                      {"paths", std::move(paths)},
                      {"components", {{"schemas", std::move(schemas)}}}}
             .dump(2) +
         "\n";
}

Result<std::string, std::string> json_of_query(std::string_view query, const Descriptor& request) {
  ordered_json out = ordered_json::object();
  while (!query.empty()) {
    const auto pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    if (pair.empty()) continue;
    const auto equals = pair.find('=');
    const auto name = unescape(pair.substr(0, equals));
    const auto value =
        unescape(equals == std::string_view::npos ? std::string_view{} : pair.substr(equals + 1));
    if (!name) return failure(name.error());
    if (!value) return failure(value.error());
    const auto* field = request.FindFieldByName(*name);
    if (field == nullptr || field->message_type() != nullptr) {
      return failure("there is no parameter '" + *name + "' here: /api/v1/openapi.json lists them");
    }
    // Text is right for every scalar: protobuf's JSON reads numbers from it, and booleans are the exception.
    ordered_json one = field->cpp_type() == FieldDescriptor::CPPTYPE_BOOL
                           ? ordered_json(*value == "true" || value->empty())
                           : ordered_json(*value);
    if (field->is_repeated()) {
      out[*name].push_back(std::move(one));
    } else {
      out[*name] = std::move(one);
    }
  }
  return out.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

}  // namespace isthmus::controller
