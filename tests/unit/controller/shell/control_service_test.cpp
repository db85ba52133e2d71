// SPDX-License-Identifier: Apache-2.0
// The control service over a real channel inside the process.
#include "controller/shell/control_service.hpp"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include "common/config/domain_lists.hpp"
#include "common/config/from_proto.hpp"
#include "common/config/yaml.hpp"
#include "tests/support/policies.hpp"

namespace isthmus::controller {
namespace {

class ControlServiceTest : public testing::Test {
 protected:
  ControlServiceTest() {
    auto wire = parse_policy_yaml(test::kSmallPolicy);
    hub.propose({.from = PolicyOrigin::kFile,
                 .text = {std::make_shared<const Policy>(*from_proto(*wire)),
                          std::make_shared<const v1::Policy>(*wire)},
                 .author = "test",
                 .comment = "",
                 .if_version = std::nullopt});
    hub.start();
    grpc::ServerBuilder builder;
    builder.RegisterService(&service);
    server = builder.BuildAndStart();
    stub = v1::ControlPlane::NewStub(server->InProcessChannel({}));
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds{20});
    stream = stub->Session(&context);
  }
  ~ControlServiceTest() override {
    stream.reset();
    server->Shutdown(std::chrono::system_clock::now());
    server->Wait();
    hub.stop();
  }

  static v1::ServiceMessage hello(const std::string& node_id) {
    v1::ServiceMessage message;
    auto* h = message.mutable_hello();
    h->set_node_id(node_id);
    h->set_kind(v1::NAT64);
    h->set_incarnation("one");
    h->set_boot_id("boot");
    return message;
  }

  Hub hub{Settings{.adopt_grace = Duration{0}, .hello_within = std::chrono::milliseconds{500}}, 1};
  ControlService service{hub};
  std::unique_ptr<grpc::Server> server;
  std::unique_ptr<v1::ControlPlane::Stub> stub;
  grpc::ClientContext context;
  std::unique_ptr<grpc::ClientReaderWriter<v1::ServiceMessage, v1::ControllerMessage>> stream;
};

TEST_F(ControlServiceTest, AServiceThatSaysHelloGetsThePolicyAndAnAllocation) {
  ASSERT_TRUE(stream->Write(hello("gw1")));
  v1::ControllerMessage first;
  v1::ControllerMessage second;
  ASSERT_TRUE(stream->Read(&first));
  ASSERT_TRUE(stream->Read(&second));
  EXPECT_EQ("public", first.policy().policy().pools(0).name());
  EXPECT_EQ(8, second.allocation().allocation().addresses_size());
  EXPECT_GT(second.allocation().nonce(), first.policy().nonce());
  context.TryCancel();
  (void)stream->Finish();
}

TEST_F(ControlServiceTest, ARenewalIsAnswered) {
  ASSERT_TRUE(stream->Write(hello("gw1")));
  v1::ControllerMessage message;
  ASSERT_TRUE(stream->Read(&message));
  ASSERT_TRUE(stream->Read(&message));
  const auto address = message.allocation().allocation().addresses(0).address();
  v1::ServiceMessage renewal;
  renewal.mutable_lease_renewal()->set_sequence(41);
  renewal.mutable_lease_renewal()->add_addresses(address);
  renewal.mutable_lease_renewal()->add_addresses("192.0.2.1");
  renewal.mutable_lease_renewal()->add_addresses("nonsense");
  ASSERT_TRUE(stream->Write(renewal));
  ASSERT_TRUE(stream->Read(&message));
  EXPECT_EQ(41U, message.lease_renewed().sequence());
  ASSERT_EQ(1, message.lease_renewed().addresses_size());
  EXPECT_EQ(address, message.lease_renewed().addresses(0));
  context.TryCancel();
  (void)stream->Finish();
}

TEST_F(ControlServiceTest, AStreamThatDoesNotBeginWithHelloIsEnded) {
  v1::ServiceMessage message;
  message.mutable_report();
  ASSERT_TRUE(stream->Write(message));
  const auto status = stream->Finish();
  EXPECT_EQ(grpc::StatusCode::INVALID_ARGUMENT, status.error_code());
  EXPECT_EQ("the first message must be hello", status.error_message());
}

TEST_F(ControlServiceTest, ANodeIdThatCannotBeALabelIsRefusedWithTheReason) {
  ASSERT_TRUE(stream->Write(hello("two words")));
  const auto status = stream->Finish();
  EXPECT_EQ(grpc::StatusCode::INVALID_ARGUMENT, status.error_code());
  EXPECT_NE(std::string::npos, status.error_message().find("--node-id"));
}

TEST_F(ControlServiceTest, AStreamThatSaysNothingIsEnded) {
  EXPECT_FALSE(stream->Finish().ok());
  EXPECT_LT(std::chrono::system_clock::now(), context.deadline()) << "not by the deadline";
}

TEST_F(ControlServiceTest, APeerThatDoesNotReadIsCutOff) {
  ASSERT_TRUE(stream->Write(hello("gw1")));
  v1::ServiceMessage renewal;
  renewal.mutable_lease_renewal()->set_sequence(1);
  int written = 0;
  while (written < 100000 && stream->Write(renewal)) ++written;
  EXPECT_LT(written, 100000);
  EXPECT_FALSE(stream->Finish().ok());
  EXPECT_LT(std::chrono::system_clock::now(), context.deadline()) << "not by the deadline";
}

TEST_F(ControlServiceTest, ASecondHelloEndsTheStream) {
  ASSERT_TRUE(stream->Write(hello("gw1")));
  ASSERT_TRUE(stream->Write(hello("gw1")));
  v1::ControllerMessage message;
  while (stream->Read(&message)) {
  }
  EXPECT_EQ(grpc::StatusCode::INVALID_ARGUMENT, stream->Finish().error_code());
}

TEST_F(ControlServiceTest, PiecesOfListsAreSentToWhoAsks) {
  const auto chunk = cut_list("a.example", "").value().front();
  hub.chunks().put(chunk, boot_now());
  ASSERT_TRUE(stream->Write(hello("gw1")));
  v1::ServiceMessage need;
  need.mutable_need_chunks()->add_hashes(chunk.hash);
  need.mutable_need_chunks()->add_hashes("unknown");
  ASSERT_TRUE(stream->Write(need));
  std::vector<v1::Chunk> chunks;
  v1::ControllerMessage message;
  while (chunks.size() < 2 && stream->Read(&message)) {
    if (message.has_chunk()) chunks.push_back(message.chunk());
  }
  ASSERT_EQ(2U, chunks.size());
  EXPECT_EQ("a.example.\n", chunks[0].data());
  EXPECT_TRUE(chunks[1].missing());
}

TEST_F(ControlServiceTest, WhoAsksForTooManyPiecesAtOnceIsRefused) {
  ASSERT_TRUE(stream->Write(hello("gw1")));
  v1::ServiceMessage need;
  for (int i = 0; i < 17; ++i) need.mutable_need_chunks()->add_hashes("x");
  ASSERT_TRUE(stream->Write(need));
  v1::ControllerMessage message;
  while (stream->Read(&message)) {
  }
  EXPECT_EQ(grpc::StatusCode::INVALID_ARGUMENT, stream->Finish().error_code());
}

}  // namespace
}  // namespace isthmus::controller
