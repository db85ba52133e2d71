// SPDX-License-Identifier: Apache-2.0
// The Admin API over a real channel inside the process.
#include "controller/shell/admin_service.hpp"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include "common/config/from_proto.hpp"
#include "common/config/yaml.hpp"
#include "tests/support/policies.hpp"

namespace isthmus::controller {
namespace {

class AdminServiceTest : public testing::Test {
 protected:
  AdminServiceTest() {
    auto wire = parse_policy_yaml(test::kSmallPolicy);
    hub.set_policy(std::make_shared<const Policy>(*from_proto(*wire)),
                   std::make_shared<const v1::Policy>(*wire), "file test.yaml");
    hub.start();
    grpc::ServerBuilder builder;
    builder.RegisterService(&service);
    server = builder.BuildAndStart();
    stub = v1::Admin::NewStub(server->InProcessChannel({}));
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds{20});
  }
  ~AdminServiceTest() override {
    server->Shutdown(std::chrono::system_clock::now());
    server->Wait();
    hub.stop();
  }

  v1::ValidateResponse validate(const std::string& yaml) {
    v1::ValidateRequest request;
    request.set_yaml(yaml);
    v1::ValidateResponse response;
    const auto status = stub->Validate(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }

  Hub hub{Settings{.adopt_grace = Duration{0}}, 1};
  AdminService service{hub};
  std::unique_ptr<grpc::Server> server;
  std::unique_ptr<v1::Admin::Stub> stub;
  grpc::ClientContext context;
};

TEST_F(AdminServiceTest, AGoodPolicyHasNoViolations) {
  EXPECT_EQ(0, validate(test::kFullPolicy).violations_size());
}

TEST_F(AdminServiceTest, AMisspeltFieldIsRefusedWithItsPath) {
  const auto answer = validate("poolz: []");
  ASSERT_EQ(1, answer.violations_size());
  EXPECT_EQ("poolz", answer.violations(0).path());
  EXPECT_NE(std::string::npos, answer.violations(0).message().find("did you mean `pools`?"));
}

TEST_F(AdminServiceTest, AContradictoryPolicyIsRefusedWithEveryViolation) {
  EXPECT_GE(validate("pools: [{name: a}, {name: a}]").violations_size(), 5);
}

TEST_F(AdminServiceTest, ThePolicyThatRunsComesWithItsSource) {
  v1::GetPolicyResponse answer;
  ASSERT_TRUE(stub->GetPolicy(&context, {}, &answer).ok());
  EXPECT_EQ("file test.yaml", answer.source());
  EXPECT_EQ("public", answer.policy().pools(0).name());
  EXPECT_EQ(0, answer.rejected_size());
}

TEST_F(AdminServiceTest, EveryPoolAddressIsListedFreeWhenNobodyHoldsIt) {
  v1::ListLeasesResponse answer;
  ASSERT_TRUE(stub->ListLeases(&context, {}, &answer).ok());
  ASSERT_EQ(16, answer.leases_size());
  EXPECT_EQ(v1::LeaseEntry::FREE, answer.leases(15).state());
  EXPECT_EQ("203.0.113.15", answer.leases(15).address());
}

}  // namespace
}  // namespace isthmus::controller
