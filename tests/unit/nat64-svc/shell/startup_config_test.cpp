// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/startup_config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace isthmus::nat64 {
namespace {

using ::testing::HasSubstr;

ParsedFlags parse(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "nat64-svc");
  std::vector<char*> argv;
  for (auto& argument : arguments) argv.push_back(argument.data());
  return parse_flags(static_cast<int>(argv.size()), argv.data());
}

const std::vector<std::string> kGood{"--interface6", "lan",           "--interface4",
                                     "wan",          "--policy-file", "policy.yaml"};

ParsedFlags parse_good_and(const std::vector<std::string>& more) {
  auto all = kGood;
  all.insert(all.end(), more.begin(), more.end());
  return parse(all);
}

TEST(StartupConfig, TwoInterfacesAndAPolicyFileAreEnough) {
  const auto flags = parse(kGood);
  EXPECT_EQ(flags.exit_code, -1) << flags.problem;
  EXPECT_EQ(flags.config.interface6, "lan");
  EXPECT_EQ(flags.config.interface4, "wan");
  EXPECT_FALSE(flags.config.one_interface());
  EXPECT_EQ(flags.config.xdp_mode, XdpMode::kAuto);
  EXPECT_EQ(flags.config.http_listen, "127.0.0.1:9464");
  EXPECT_FALSE(flags.config.node_id.empty());
}

TEST(StartupConfig, OneInterfaceMayServeBothSides) {
  const auto flags = parse({"--interface6", "eth0", "--interface4", "eth0", "--controller", "[::1]:7464"});
  EXPECT_EQ(flags.exit_code, -1) << flags.problem;
  EXPECT_TRUE(flags.config.one_interface());
}

TEST(StartupConfig, TheXdpModeIsTaken) {
  EXPECT_EQ(parse_good_and({"--xdp-mode", "generic"}).config.xdp_mode, XdpMode::kGeneric);
  EXPECT_EQ(parse_good_and({"--xdp-mode", "native"}).config.xdp_mode, XdpMode::kNative);
}

struct Refused {
  std::string why;
  std::vector<std::string> flags;
  std::string text;
};

class RefusedFlags : public ::testing::TestWithParam<Refused> {};

TEST_P(RefusedFlags, AreRefusedWithASentence) {
  const auto flags = parse(GetParam().flags);
  EXPECT_GT(flags.exit_code, 0) << GetParam().why;
  EXPECT_THAT(flags.problem, HasSubstr(GetParam().text)) << GetParam().why;
}

INSTANTIATE_TEST_SUITE_P(
    StartupConfig, RefusedFlags,
    ::testing::Values(
        Refused{"no feed", {"--interface6", "a", "--interface4", "b"}, "--controller"},
        Refused{"two feeds",
                {"--interface6", "a", "--interface4", "b", "--controller", "c:1", "--policy-file", "p"},
                "both"},
        Refused{"no interface of the IPv4 side", {"--interface6", "a", "--policy-file", "p"}, "--interface4"},
        Refused{"node mode with an interface",
                {"--mode", "node", "--interface6", "a", "--policy-file", "p"},
                "its own interfaces"},
        Refused{"a kind of mode that does not exist", {"--mode", "host", "--policy-file", "p"}, "--mode"},
        Refused{"a flag that does not exist",
                {"--interface6", "a", "--interface4", "b", "--policy-file", "p", "--interfaces"},
                "--interfaces"},
        Refused{"a mode that does not exist",
                {"--interface6", "a", "--interface4", "b", "--policy-file", "p", "--xdp-mode", "fast"},
                "--xdp-mode"},
        Refused{"a negative time",
                {"--interface6", "a", "--interface4", "b", "--policy-file", "p", "--drain-timeout", "-1"},
                "--drain-timeout"},
        Refused{"no node id",
                {"--interface6", "a", "--interface4", "b", "--policy-file", "p", "--node-id", ""},
                "--node-id"},
        Refused{
            "a certificate without its key",
            {"--interface6", "a", "--interface4", "b", "--controller", "c:1", "--tls-certificate", "c.pem"},
            "--tls-key"}));

TEST(StartupConfig, TheSubscribersTableGrowsWithTheSessions) {
  const auto subscribers = [](std::uint32_t sessions) {
    StartupConfig config;
    config.max_sessions = sessions;
    return config.max_subscribers();
  };
  EXPECT_EQ(subscribers(1024), 1024U);
  EXPECT_EQ(subscribers(65536), 65536U);
  EXPECT_EQ(subscribers(1U << 20), 65536U);
  EXPECT_EQ(subscribers(1U << 22), 1U << 18);
  EXPECT_EQ(subscribers(1U << 28), 1U << 24);
}

}  // namespace
}  // namespace isthmus::nat64
