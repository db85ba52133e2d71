// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/shell/server.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "isthmusctl/lab_ca.hpp"

namespace isthmus::dns64 {
namespace {

class ServerFilesTest : public testing::Test {
 protected:
  ServerFilesTest() { std::filesystem::create_directories(dir_); }
  ~ServerFilesTest() override { std::filesystem::remove_all(dir_); }
  void issue(int days) {
    const auto pem = ca_.issue("dns.test", {"DNS:dns.test"}, days).value();
    std::ofstream{dir_ + "/cert.pem"} << pem.certificate;
    std::ofstream{dir_ + "/key.pem"} << pem.key;
  }
  std::string dir_ = std::filesystem::temp_directory_path() / ("isthmus-server-" + std::to_string(getpid()));
  LabCa ca_ = LabCa::make("isthmus test CA", 9).value();
};

// What it lacked may come without a trace in the file: here, descriptors.
TEST_F(ServerFilesTest, ACertificateThatCouldNotBeUsedIsTriedAgainAndCountedOnce) {
  issue(1);
  const auto server = Server::create({.certificate = dir_ + "/cert.pem", .key = dir_ + "/key.pem"}).value();
  const auto before = server->secrets_status();
  issue(3);
  rlimit limit{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  const rlimit none{.rlim_cur = 0, .rlim_max = limit.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  for (int i = 0; i < 3; ++i) server->reload_changed_files(boot_now());
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_EQ(server->secrets_status().certificate_failures, 1U);
  EXPECT_EQ(server->secrets_status().certificate_not_after, before.certificate_not_after);
  server->reload_changed_files(boot_now());
  EXPECT_EQ(server->secrets_status().certificate_failures, 1U);
  EXPECT_GT(server->secrets_status().certificate_not_after, before.certificate_not_after);
}

}  // namespace
}  // namespace isthmus::dns64
