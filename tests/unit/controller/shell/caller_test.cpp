// SPDX-License-Identifier: Apache-2.0
// Who a caller is, over real handshakes: directly, and through the front door of another controller.
#include "controller/shell/caller.hpp"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "common/control/tls_credentials.hpp"
#include "controller/shell/relay.hpp"
#include "isthmus/v1/admin.grpc.pb.h"
#include "isthmusctl/lab_ca.hpp"

namespace isthmus::controller {
namespace {

// Says who asked, in `source`.
class WhoAsks final : public v1::Admin::CallbackService {
  grpc::ServerUnaryReactor* GetPolicy(grpc::CallbackServerContext* context, const v1::GetPolicyRequest*,
                                      v1::GetPolicyResponse* response) override {
    response->set_source(caller_of(*context).name());
    auto* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
};

class CallerTest : public testing::Test {
 protected:
  CallerTest() {
    std::string pattern = testing::TempDir() + "isthmus-caller-XXXXXX";
    directory_ = mkdtemp(pattern.data());
    grpc::ServerBuilder inner;
    inner.RegisterService(&admin_);
    decides_ = inner.BuildAndStart();
    relay_.set_target(decides_->InProcessChannel({}), false, {});
    auto credentials = server_credentials(issue("controller", {"IP:127.0.0.1"})).value();
    credentials->SetAuthMetadataProcessor(access_check());
    grpc::ServerBuilder outer;
    outer.AddListeningPort("127.0.0.1:0", credentials, &port_);
    outer.RegisterCallbackGenericService(&relay_);
    front_ = outer.BuildAndStart();
  }
  ~CallerTest() override {
    for (auto* server : {front_.get(), decides_.get()}) {
      server->Shutdown(std::chrono::system_clock::now());
      server->Wait();
    }
    std::filesystem::remove_all(directory_);
  }
  CallerTest(const CallerTest&) = delete;
  CallerTest& operator=(const CallerTest&) = delete;

  TlsFiles issue(const std::string& who, const std::vector<std::string>& names) {
    TlsFiles files{directory_ + "/" + who + "-ca.pem", directory_ + "/" + who + ".pem",
                   directory_ + "/" + who + ".key"};
    const auto pem = ca_.issue(who, names, 1).value();
    std::ofstream{files.ca} << ca_.pem().certificate;
    std::ofstream{files.certificate} << pem.certificate;
    std::ofstream{files.key} << pem.key;
    return files;
  }

  // Who the one that decides sees, or the status of a refusal.
  std::string seen(const std::string& name,
                   const std::vector<std::pair<std::string, std::string>>& metadata = {}) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    const auto stub = v1::Admin::NewStub(
        grpc::CreateCustomChannel("127.0.0.1:" + std::to_string(port_),
                                  channel_credentials(issue("client", {"DNS:" + name})).value(), arguments));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds{20});
    for (const auto& [key, value] : metadata) context.AddMetadata(key, value);
    v1::GetPolicyResponse answer;
    const auto status = stub->GetPolicy(&context, {}, &answer);
    return status.ok() ? answer.source() : std::to_string(status.error_code());
  }

  const std::string refused_ = std::to_string(grpc::StatusCode::PERMISSION_DENIED);

 private:
  std::string directory_;
  const LabCa ca_ = LabCa::make("isthmus test CA", 1).value();
  WhoAsks admin_;
  Relay relay_;
  std::unique_ptr<grpc::Server> decides_;
  std::unique_ptr<grpc::Server> front_;
  int port_ = 0;
};

TEST_F(CallerTest, IsWhoTheCertificateSays) {
  EXPECT_TRUE(seen("alice.operator.isthmus.internal").starts_with("alice.operator (ipv4:127.0.0.1:"));
  EXPECT_EQ(refused_, seen("gw1.nat64.isthmus.internal"));
  EXPECT_EQ(refused_, seen("somebody.example"));
}

TEST_F(CallerTest, IsNotWhoHeSaysHeIs) {
  const auto who = seen("bob.reader.isthmus.internal", {{kRelayedNames, "alice.operator.isthmus.internal"},
                                                        {kRelayedPeer, "ipv4:192.0.2.1:1"}});
  EXPECT_TRUE(who.starts_with("bob.reader (ipv4:127.0.0.1:")) << who;
}

TEST_F(CallerTest, IsWhoAnotherControllerSawAtItsFrontDoor) {
  EXPECT_EQ("alice.operator (ipv4:192.0.2.1:1)",
            seen("any.controller.isthmus.internal",
                 {{kRelayedNames, "alice.operator.isthmus.internal"}, {kRelayedPeer, "ipv4:192.0.2.1:1"}}));
}

}  // namespace
}  // namespace isthmus::controller
