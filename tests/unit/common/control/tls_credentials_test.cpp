// SPDX-License-Identifier: Apache-2.0
// Real handshakes on loopback with certificates made on the spot.
#include "common/control/tls_credentials.hpp"

#include <gmock/gmock.h>
#include <grpc/support/log.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "common/base/clock.hpp"
#include "isthmus/v1/control.grpc.pb.h"
#include "isthmusctl/lab_ca.hpp"

namespace isthmus {
namespace {

using testing::HasSubstr;

class Greeter : public v1::ControlPlane::Service {
  grpc::Status Session(grpc::ServerContext* context,
                       grpc::ServerReaderWriter<v1::ControllerMessage, v1::ServiceMessage>* stream) override {
    v1::ControllerMessage reply;
    for (const auto& name : context->auth_context()->FindPropertyValues("x509_subject_alternative_name")) {
      reply.mutable_refusal()->mutable_reason()->append(name.data(), name.size());
    }
    stream->Write(reply);
    return grpc::Status::OK;
  }
};

class TlsCredentialsTest : public testing::Test {
 protected:
  TlsCredentialsTest() {
    std::string pattern = testing::TempDir() + "isthmus-tls-XXXXXX";
    directory_ = mkdtemp(pattern.data());
    gpr_set_log_function([](gpr_log_func_args*) {});  // refused handshakes are the point here
  }
  ~TlsCredentialsTest() override {
    if (server_) server_->Shutdown(std::chrono::system_clock::now());
    std::filesystem::remove_all(directory_);
  }
  TlsCredentialsTest(const TlsCredentialsTest&) = delete;
  TlsCredentialsTest& operator=(const TlsCredentialsTest&) = delete;

  static void write(const std::string& path, const std::string& text) { std::ofstream{path} << text; }
  TlsFiles issue(const LabCa& ca, const std::string& who, const std::string& san, int days = 1) {
    TlsFiles files{directory_ + "/" + who + "-ca.pem", directory_ + "/" + who + ".pem",
                   directory_ + "/" + who + ".key"};
    const auto pem = ca.issue(who, {san}, days).value();
    write(files.ca, ca.pem().certificate);
    write(files.certificate, pem.certificate);
    write(files.key, pem.key);
    return files;
  }
  void serve(const TlsFiles& files) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:" + std::to_string(port_), server_credentials(files, 1).value(),
                             &port_);
    builder.RegisterService(&greeter_);
    server_ = builder.BuildAndStart();
  }
  // The names the server saw in our certificate, or nothing when there is no session.
  std::optional<std::string> greet(const TlsFiles& files) const {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return greet_over(grpc::CreateCustomChannel("127.0.0.1:" + std::to_string(port_),
                                                channel_credentials(files).value(), arguments));
  }
  static std::optional<std::string> greet_over(const std::shared_ptr<grpc::Channel>& channel) {
    const auto stub = v1::ControlPlane::NewStub(channel);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds{20});
    const auto stream = stub->Session(&context);
    v1::ControllerMessage reply;
    const bool heard = stream->Read(&reply);
    return heard && stream->Finish().ok() ? std::optional{reply.refusal().reason()} : std::nullopt;
  }

  std::string directory_;
  const LabCa ca_ = LabCa::make("isthmus test CA", 1).value();
  Greeter greeter_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

TEST_F(TlsCredentialsTest, BothSidesProveWhoTheyAre) {
  serve(issue(ca_, "controller", "IP:127.0.0.1"));
  EXPECT_EQ(greet(issue(ca_, "gw-1", "DNS:gw-1")), "gw-1");
}

TEST_F(TlsCredentialsTest, AClientOfAnotherAuthorityIsKeptOut) {
  serve(issue(ca_, "controller", "IP:127.0.0.1"));
  const auto other = LabCa::make("another CA", 1).value();
  auto files = issue(other, "gw-1", "DNS:gw-1");
  write(files.ca, ca_.pem().certificate);  // it trusts the controller, but not the other way round
  EXPECT_EQ(greet(files), std::nullopt);
}

TEST_F(TlsCredentialsTest, AClientWithoutCertificateIsKeptOut) {
  serve(issue(ca_, "controller", "IP:127.0.0.1"));
  EXPECT_EQ(greet({}), std::nullopt);
}

TEST_F(TlsCredentialsTest, AServerWithTheWrongNameIsNotTrusted) {
  serve(issue(ca_, "controller", "DNS:somebody.example"));
  EXPECT_EQ(greet(issue(ca_, "gw-1", "DNS:gw-1")), std::nullopt);
}

TEST_F(TlsCredentialsTest, AChannelThatStaysTakesRenewedFilesForItsNextConnection) {
  serve(issue(ca_, "controller", "IP:127.0.0.1"));
  const auto client = issue(ca_, "gw-1", "DNS:gw-1");
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 200);
  const auto channel = grpc::CreateCustomChannel("127.0.0.1:" + std::to_string(port_),
                                                 watched_channel_credentials(client, 1).value(), arguments);
  EXPECT_EQ(greet_over(channel), "gw-1");
  const auto renewed = LabCa::make("renewed CA", 1).value();
  (void)issue(renewed, "gw-1", "DNS:gw-1-renewed");  // the same paths
  (void)issue(renewed, "controller", "IP:127.0.0.1");
  server_->Shutdown(std::chrono::system_clock::now());  // and it must connect again
  serve({directory_ + "/controller-ca.pem", directory_ + "/controller.pem", directory_ + "/controller.key"});
  std::optional<std::string> seen;
  const auto deadline = boot_now() + std::chrono::seconds{20};
  while (!(seen = greet_over(channel)) && boot_now() < deadline) {
  }
  EXPECT_EQ(seen, "gw-1-renewed");
}

TEST_F(TlsCredentialsTest, AChannelThatStaysTrustsNoWrongName) {
  serve(issue(ca_, "controller", "DNS:somebody.example"));
  EXPECT_EQ(
      greet_over(grpc::CreateChannel("127.0.0.1:" + std::to_string(port_),
                                     watched_channel_credentials(issue(ca_, "gw-1", "DNS:gw-1"), 1).value())),
      std::nullopt);
}

TEST_F(TlsCredentialsTest, OfAChannelThatStaysCertificateAndKeyGoTogetherAndNeedACa) {
  const auto files = issue(ca_, "gw-1", "DNS:gw-1");
  EXPECT_TRUE(watched_channel_credentials({files.ca, "", ""}));
  EXPECT_TRUE(watched_channel_credentials({}));
  EXPECT_FALSE(watched_channel_credentials({files.ca, files.certificate, ""}));
  EXPECT_FALSE(watched_channel_credentials({"", files.certificate, files.key}));
  EXPECT_FALSE(watched_channel_credentials({directory_ + "/none", "", ""}));
}

TEST_F(TlsCredentialsTest, RenewedFilesAreTakenWhileTheServerRuns) {
  serve(issue(ca_, "controller", "IP:127.0.0.1"));
  const auto renewed = LabCa::make("renewed CA", 1).value();
  const auto client = issue(renewed, "gw-1", "DNS:gw-1");
  EXPECT_EQ(greet(client), std::nullopt);
  (void)issue(renewed, "controller", "IP:127.0.0.1");  // the same paths
  std::optional<std::string> seen;
  const auto deadline = boot_now() + std::chrono::seconds{20};
  while (!(seen = greet(client)) && boot_now() < deadline) {
  }
  EXPECT_EQ(seen, "gw-1");
}

TEST_F(TlsCredentialsTest, AnExpiredClientIsKeptOutUntilItsFilesAreRenewed) {
  serve(issue(ca_, "controller", "IP:127.0.0.1"));
  EXPECT_EQ(greet(issue(ca_, "gw-1", "DNS:gw-1", -1)), std::nullopt);
  EXPECT_EQ(greet(issue(ca_, "gw-1", "DNS:gw-1")), "gw-1");
}

TEST_F(TlsCredentialsTest, AnExpiredServerIsNotTrustedUntilItsFilesAreRenewed) {
  const auto client = issue(ca_, "gw-1", "DNS:gw-1");
  serve(issue(ca_, "controller", "IP:127.0.0.1", -1));
  EXPECT_EQ(greet(client), std::nullopt);
  (void)issue(ca_, "controller", "IP:127.0.0.1");
  std::optional<std::string> seen;
  const auto deadline = boot_now() + std::chrono::seconds{20};
  while (!(seen = greet(client)) && boot_now() < deadline) {
  }
  EXPECT_EQ(seen, "gw-1");
}

TEST_F(TlsCredentialsTest, TheEndOfACertificateIsRead) {
  const auto now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  const auto expiry = certificate_expiry(issue(ca_, "gw-1", "DNS:gw-1", 30).certificate);
  ASSERT_TRUE(expiry);
  EXPECT_NEAR(static_cast<double>(*expiry - now), 30 * 86400, 60);
  EXPECT_FALSE(certificate_expiry(""));
  EXPECT_FALSE(certificate_expiry(directory_ + "/gw-1.key"));
}

TEST_F(TlsCredentialsTest, FilesThatAreMissingOrNotPemAreNamed) {
  auto files = issue(ca_, "gw-1", "DNS:gw-1");
  auto missing = files;
  missing.key = directory_ + "/nowhere.key";
  EXPECT_THAT(channel_credentials(missing).error(), HasSubstr("private key " + missing.key));
  EXPECT_THAT(server_credentials(missing).error(), HasSubstr("private key " + missing.key));
  auto some = files;
  some.ca.clear();
  EXPECT_THAT(channel_credentials(some).error(), HasSubstr("no CA certificate"));
  EXPECT_THAT(server_credentials({}).error(), HasSubstr("no CA certificate"));
  std::filesystem::resize_file(files.certificate, 0);
  EXPECT_THAT(channel_credentials(files).error(), HasSubstr("must be a readable PEM file"));
}

}  // namespace
}  // namespace isthmus
