// SPDX-License-Identifier: Apache-2.0
#include "controller/shell/relay.hpp"

#include <gtest/gtest.h>

#include "common/config/from_proto.hpp"
#include "common/config/yaml.hpp"
#include "controller/shell/admin_service.hpp"
#include "controller/shell/control_service.hpp"
#include "tests/support/policies.hpp"

namespace isthmus::controller {
namespace {

// A front door before a controller, and callers of it.
class RelayTest : public testing::Test {
 protected:
  RelayTest() {
    auto wire = parse_policy_yaml(test::kSmallPolicy);
    hub.set_policy(std::make_shared<const Policy>(*from_proto(*wire)),
                   std::make_shared<const v1::Policy>(*wire), "test");
    hub.start();
    grpc::ServerBuilder inner;
    inner.RegisterService(&control);
    inner.RegisterService(&admin);
    decides = inner.BuildAndStart();
    grpc::ServerBuilder outer;
    outer.RegisterCallbackGenericService(&relay);
    front = outer.BuildAndStart();
    relay.set_target(decides->InProcessChannel({}), false, {});
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds{30});
  }
  ~RelayTest() override {
    stream.reset();
    for (auto* server : {front.get(), decides.get()}) {
      server->Shutdown(std::chrono::system_clock::now());
      server->Wait();
    }
    hub.stop();
  }

  void connect() {
    stream = v1::ControlPlane::NewStub(front->InProcessChannel({}))->Session(&context);
    v1::ServiceMessage message;
    auto* hello = message.mutable_hello();
    hello->set_node_id("gw1");
    hello->set_kind(v1::NAT64);
    hello->set_incarnation("one");
    hello->set_boot_id("boot");
    ASSERT_TRUE(stream->Write(message));
  }

  Hub hub{Settings{.adopt_grace = Duration{0}}, 1};
  ControlService control{hub};
  AdminService admin{hub};
  Relay relay;
  std::unique_ptr<grpc::Server> decides;
  std::unique_ptr<grpc::Server> front;
  grpc::ClientContext context;
  std::unique_ptr<grpc::ClientReaderWriter<v1::ServiceMessage, v1::ControllerMessage>> stream;
};

TEST_F(RelayTest, AStreamThroughTheFrontDoorIsAStreamToTheOneThatDecides) {
  connect();
  v1::ControllerMessage message;
  ASSERT_TRUE(stream->Read(&message));
  EXPECT_TRUE(message.has_policy());
  ASSERT_TRUE(stream->Read(&message));
  EXPECT_EQ(8, message.allocation().allocation().addresses_size());
  v1::ServiceMessage renewal;
  renewal.mutable_lease_renewal()->set_sequence(7);
  ASSERT_TRUE(stream->Write(renewal));
  ASSERT_TRUE(stream->Read(&message));
  EXPECT_EQ(7U, message.lease_renewed().sequence());
  // The caller is shown as the front door saw it.
  v1::ListNodesResponse nodes;
  grpc::ClientContext once;
  ASSERT_TRUE(v1::Admin::NewStub(front->InProcessChannel({}))->ListNodes(&once, {}, &nodes).ok());
  ASSERT_EQ(1, nodes.nodes_size());
  EXPECT_TRUE(nodes.nodes(0).connected());
}

TEST_F(RelayTest, WhenTheTargetChangesStreamsEndSoThatServicesComeBack) {
  connect();
  v1::ControllerMessage message;
  ASSERT_TRUE(stream->Read(&message));
  relay.set_target(nullptr, false, "no controller leads now: try again");
  while (stream->Read(&message)) {
  }
  EXPECT_FALSE(stream->Finish().ok());
  grpc::ClientContext once;
  v1::ListNodesResponse nodes;
  const auto status = v1::Admin::NewStub(front->InProcessChannel({}))->ListNodes(&once, {}, &nodes);
  EXPECT_EQ(grpc::StatusCode::UNAVAILABLE, status.error_code());
  EXPECT_EQ("no controller leads now: try again", status.error_message());
}

TEST_F(RelayTest, TheReasonOfARefusalComesThrough) {
  grpc::ClientContext once;
  v1::LeaseHistoryRequest request;
  request.set_address("nonsense");
  v1::LeaseHistoryResponse answer;
  const auto status = v1::Admin::NewStub(front->InProcessChannel({}))->LeaseHistory(&once, request, &answer);
  EXPECT_EQ(grpc::StatusCode::INVALID_ARGUMENT, status.error_code());
  EXPECT_NE(std::string::npos, status.error_message().find("nonsense"));
}

TEST_F(RelayTest, ACallIsSentOnOnceAtMost) {
  relay.set_target(decides->InProcessChannel({}), true, {});
  grpc::ClientContext relayed;
  relayed.AddMetadata("isthmus-relayed", "1");
  v1::ListNodesResponse nodes;
  const auto stub = v1::Admin::NewStub(front->InProcessChannel({}));
  EXPECT_EQ(grpc::StatusCode::UNAVAILABLE, stub->ListNodes(&relayed, {}, &nodes).error_code());
  grpc::ClientContext direct;
  EXPECT_TRUE(stub->ListNodes(&direct, {}, &nodes).ok());
}

}  // namespace
}  // namespace isthmus::controller
