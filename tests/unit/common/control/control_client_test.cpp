// SPDX-License-Identifier: Apache-2.0
// Against a real gRPC server in this process, on a port of the kernel's choice, killed and started again.
#include "common/control/control_client.hpp"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <condition_variable>
#include <deque>
#include <filesystem>
#include <functional>
#include <mutex>

#include "common/config/yaml.hpp"
#include "isthmus/v1/control.grpc.pb.h"
#include "tests/support/policies.hpp"

namespace isthmus {
namespace {

using testing::HasSubstr;

// Sends the policy after Hello and keeps every message that comes.
class FakeController : public v1::ControlPlane::Service {
 public:
  explicit FakeController(int port = 0) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:" + std::to_string(port), grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~FakeController() override { server_->Shutdown(std::chrono::system_clock::now()); }
  FakeController(const FakeController&) = delete;
  FakeController& operator=(const FakeController&) = delete;

  [[nodiscard]] int port() const { return port_; }
  [[nodiscard]] std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

  // The next message for which `wanted` holds; nothing after 20 s.
  std::optional<v1::ServiceMessage> wait_for(const std::function<bool(const v1::ServiceMessage&)>& wanted) {
    std::unique_lock lock{mutex_};
    std::optional<v1::ServiceMessage> found;
    changed_.wait_for(lock, std::chrono::seconds{20}, [&] {
      while (!heard_.empty() && !found) {
        if (wanted(heard_.front())) found = heard_.front();
        heard_.pop_front();
      }
      return found.has_value();
    });
    return found;
  }

 private:
  grpc::Status Session(grpc::ServerContext*,
                       grpc::ServerReaderWriter<v1::ControllerMessage, v1::ServiceMessage>* stream) override {
    v1::ServiceMessage message;
    while (stream->Read(&message)) {
      if (message.has_hello()) {
        v1::ControllerMessage reply;
        auto& update = *reply.mutable_policy();
        update.mutable_version()->set_epoch(1);
        update.mutable_version()->set_counter(3);
        update.set_nonce(5);
        *update.mutable_policy() = parse_policy_yaml(test::kSmallPolicy).value();
        stream->Write(reply);
      }
      const std::lock_guard lock{mutex_};
      heard_.push_back(message);
      changed_.notify_all();
    }
    return grpc::Status::OK;
  }

  int port_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<v1::ServiceMessage> heard_;
  std::unique_ptr<grpc::Server> server_;
};

bool is_hello(const v1::ServiceMessage& message) {
  return message.has_hello();
}
bool is_ack(const v1::ServiceMessage& message) {
  return message.has_ack();
}
bool is_report(const v1::ServiceMessage& message) {
  return message.has_report();
}
bool is_goodbye(const v1::ServiceMessage& message) {
  return message.has_goodbye();
}

class ControlClientTest : public testing::Test {
 protected:
  ControlClientTest() {
    std::string pattern = testing::TempDir() + "isthmus-client-XXXXXX";
    state_dir_ = mkdtemp(pattern.data());
  }
  ~ControlClientTest() override { std::filesystem::remove_all(state_dir_); }
  ControlClientTest(const ControlClientTest&) = delete;
  ControlClientTest& operator=(const ControlClientTest&) = delete;

  ControlClientOptions options(const std::string& controller) const {
    ControlClientOptions options;
    options.controller = controller;
    options.node_id = "gw-1";
    options.state_dir = state_dir_;
    options.report_every = std::chrono::milliseconds{50};
    return options;
  }
  ServiceHandlers handlers() {
    ServiceHandlers handlers;
    handlers.on_policy = [this](const std::shared_ptr<const Policy>&, Version) -> Applied {
      ++applied_;
      return {};
    };
    handlers.fill_report = [](v1::Report& report) { report.set_serving(true); };
    return handlers;
  }

  std::string state_dir_;
  std::atomic<int> applied_ = 0;
};

TEST_F(ControlClientTest, SaysHelloRunsThePolicyAcksAndReports) {
  FakeController controller;
  ControlClient client{options(controller.address()), handlers()};
  client.start();
  const auto hello = controller.wait_for(is_hello);
  ASSERT_TRUE(hello);
  EXPECT_EQ(hello->hello().node_id(), "gw-1");
  EXPECT_EQ(hello->hello().kind(), v1::NAT64);
  EXPECT_EQ(hello->hello().machine().size(), 32U);
  EXPECT_FALSE(hello->hello().incarnation().empty());
  const auto ack = controller.wait_for(is_ack);
  ASSERT_TRUE(ack);
  EXPECT_EQ(ack->ack().nonce(), 5U);
  EXPECT_EQ(applied_, 1);
  const auto report = controller.wait_for(is_report);
  ASSERT_TRUE(report);
  EXPECT_TRUE(report->report().serving());
  EXPECT_GT(report->report().time().seconds(), 1'700'000'000);
  EXPECT_TRUE(client.status().connected);
  EXPECT_EQ(client.status().policy_version, (Version{1, 3}));
}

TEST_F(ControlClientTest, SurvivesAControllerThatDiesAndComesBack) {
  auto controller = std::make_unique<FakeController>();
  const int port = controller->port();
  ControlClient client{options(controller->address()), handlers()};
  client.start();
  ASSERT_TRUE(controller->wait_for(is_ack));
  controller.reset();
  controller = std::make_unique<FakeController>(port);
  const auto hello = controller->wait_for(is_hello);
  ASSERT_TRUE(hello);
  ASSERT_EQ(hello->hello().running_size(), 1);
  EXPECT_EQ(hello->hello().running(0).version().counter(), 3U);
  ASSERT_TRUE(controller->wait_for(is_ack));
  EXPECT_EQ(applied_, 1);  // the same policy disturbs nobody
}

TEST_F(ControlClientTest, ARestartWithoutControllerRunsTheLastGoodPolicy) {
  int port = 0;
  {
    FakeController controller;
    port = controller.port();
    ControlClient client{options(controller.address()), handlers()};
    client.start();
    ASSERT_TRUE(controller.wait_for(is_ack));
  }
  applied_ = 0;
  ControlClient client{options("127.0.0.1:" + std::to_string(port)), handlers()};
  client.start();
  EXPECT_EQ(applied_, 1);
  EXPECT_EQ(client.status().policy_version, (Version{1, 3}));
  EXPECT_FALSE(client.status().connected);
}

TEST_F(ControlClientTest, SaysGoodbyeWhenAskedAndEndsInTime) {
  FakeController controller;
  ControlClient client{options(controller.address()), handlers()};
  client.start();
  ASSERT_TRUE(controller.wait_for(is_ack));
  const auto begin = boot_now();
  client.stop(true);
  EXPECT_LT(boot_now() - begin, std::chrono::seconds{3});
  EXPECT_TRUE(controller.wait_for(is_goodbye));
}

TEST_F(ControlClientTest, StopsInTimeWithoutAnyController) {
  ControlClient client{options("127.0.0.1:1"), handlers()};
  client.start();
  const auto begin = boot_now();
  client.stop(true);
  EXPECT_LT(boot_now() - begin, std::chrono::seconds{3});
}

TEST_F(ControlClientTest, MissingTlsFilesAreNamedInTheStatus) {
  auto with_tls = options("127.0.0.1:1");
  with_tls.tls = {"/nowhere/ca.pem", "/nowhere/cert.pem", "/nowhere/key.pem"};
  ControlClient client{with_tls, handlers()};
  client.start();
  const auto deadline = boot_now() + std::chrono::seconds{20};
  while (client.status().last_error.empty() && boot_now() < deadline) std::this_thread::yield();
  EXPECT_THAT(client.status().last_error, HasSubstr("/nowhere/ca.pem"));
}

}  // namespace
}  // namespace isthmus
