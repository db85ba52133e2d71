// SPDX-License-Identifier: Apache-2.0
// The REST side as a function: requests in, replies out, through a channel inside the process.
#include "controller/shell/rest.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/unit/controller/shell/admin_lab.hpp"

namespace isthmus::controller {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class RestTest : public testing::Test, protected AdminLab {
 protected:
  HttpReply ask(std::string_view method, std::string_view path, std::string_view body = {},
                std::string_view query = {}) {
    HttpRequest request;
    request.method = method;
    request.path = path;
    request.query = query;
    request.body = body;
    request.tls = !names.empty();
    request.certificate_names = names;
    return rest(request);
  }

  HttpHandler rest = rest_handler(channel(), "1.2.3");
  std::vector<std::string> names;  // none: plain text
};

TEST_F(RestTest, ThePolicyIsAGet) {
  const auto reply = ask("GET", "/api/v1/policy");
  ASSERT_EQ(200U, reply.status) << reply.body;
  EXPECT_EQ("application/json", reply.content_type);
  EXPECT_EQ("file test.yaml", json::parse(reply.body).at("source"));
}

TEST_F(RestTest, ValidationIsAPostWithTheRequestAsItsBody) {
  const auto reply = ask("POST", "/api/v1/validate", R"({"yaml": "poolz: []"})");
  ASSERT_EQ(200U, reply.status) << reply.body;
  EXPECT_EQ("poolz", json::parse(reply.body).at("violations").at(0).at("path"));
}

TEST_F(RestTest, MistakesSayWhatIsWrong) {
  struct Row {
    const char *method, *path, *body, *query;
    unsigned status;
    const char* says;
  };
  for (const auto& row : {Row{"GET", "/api/v1/nothing", "", "", 404, "openapi.json"},
                          Row{"POST", "/api/v1/policy", "", "", 405, "GET"},
                          Row{"GET", "/api/v1/policy", "", "colour=blue", 400, "colour"},
                          Row{"GET", "/api/v1/policy", "", "a%zz=1", 400, "%zz"},
                          Row{"POST", "/api/v1/validate", "not json", "", 400, "ValidateRequest"},
                          Row{"POST", "/api/v1/validate", R"({"jaml": ""})", "", 400, "jaml"}}) {
    SCOPED_TRACE(std::string{row.method} + " " + row.path + "?" + row.query);
    const auto reply = ask(row.method, row.path, row.body, row.query);
    EXPECT_EQ(row.status, reply.status);
    EXPECT_THAT(json::parse(reply.body).at("message").get<std::string>(), HasSubstr(row.says));
  }
}

TEST_F(RestTest, TheCertificateDecidesAsItDoesForGrpc) {
  names = {"gw1.nat64.isthmus.internal"};
  EXPECT_EQ(403U, ask("GET", "/api/v1/policy").status);
  names = {"localhost"};
  EXPECT_EQ(403U, ask("GET", "/api/v1/openapi.json").status);
  names = {"grafana.reader.isthmus.internal"};
  EXPECT_EQ(200U, ask("GET", "/api/v1/policy").status);
}

TEST_F(RestTest, TheDocumentDescribesEveryPathAndEveryTypeItNames) {
  const auto reply = ask("GET", "/api/v1/openapi.json");
  ASSERT_EQ(200U, reply.status);
  const auto document = json::parse(reply.body);
  EXPECT_EQ("1.2.3", document.at("info").at("version"));
  const auto& paths = document.at("paths");
  for (const auto& route :
       rest_routes(*v1::GetPolicyRequest::descriptor()->file()->FindServiceByName("Admin"))) {
    EXPECT_TRUE(paths.at(route.path).contains(route.verb == "GET" ? "get" : "post")) << route.path;
  }
  const auto& schemas = document.at("components").at("schemas");
  for (const auto& [name, schema] : schemas.items()) {
    for (const auto& [field, type] : schema.at("properties").items()) {
      const auto& target = type.contains("items") ? type.at("items") : type;
      if (!target.contains("$ref")) continue;
      const auto wanted =
          target.at("$ref").get<std::string>().substr(std::string{"#/components/schemas/"}.size());
      EXPECT_TRUE(schemas.contains(wanted)) << name << "." << field << " -> " << wanted;
    }
  }
}

TEST(JsonOfQuery, EscapesAreUndoneAndListsAdd) {
  const auto& request = *v1::Node::descriptor();
  EXPECT_EQ(R"({"node_id":"gw 1&2"})", json_of_query("node_id=gw+1%262", request).value());
  EXPECT_EQ(R"({"addresses_leased":["a","b"]})",
            json_of_query("addresses_leased=a&addresses_leased=b", request).value());
  EXPECT_EQ("{}", json_of_query("", request).value());
  EXPECT_FALSE(json_of_query("node_id=%4", request));
  EXPECT_FALSE(json_of_query("report=x", request));
}

}  // namespace
}  // namespace isthmus::controller
