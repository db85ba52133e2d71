// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/shell/startup_config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace isthmus::dns64 {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Result<CommandLine, std::string> parse(std::vector<const char*> words) {
  words.insert(words.begin(), "dns64-svc");
  return parse_command_line(static_cast<int>(words.size()), words.data());
}

TEST(StartupConfig, TheDefaultIsLoopbackAlone) {
  const auto line = parse({"--policy-file", "p.yaml"}).value();
  EXPECT_THAT(line.config.server.listen, ElementsAre("[::1]:53", "127.0.0.1:53"));
  EXPECT_EQ(line.config.http_listen, "127.0.0.1:9465");
  EXPECT_GE(line.config.server.workers, 1U);
  EXPECT_TRUE(line.config.server.dot_listen.empty());
  EXPECT_TRUE(line.config.server.proxies.empty());
}

TEST(StartupConfig, ListenMayBeRepeatedAndReplacesTheDefault) {
  const auto line =
      parse({"--controller", "c:1", "--listen", "[::]:53", "--listen", "0.0.0.0:53", "--drain-timeout", "0"})
          .value();
  EXPECT_THAT(line.config.server.listen, ElementsAre("[::]:53", "0.0.0.0:53"));
  EXPECT_EQ(line.config.drain_timeout.count(), 0);
}

TEST(StartupConfig, AHoldDownOfTheLabNeedsAPlaceForTheKeys) {
  EXPECT_EQ(parse({"--policy-file", "p"}).value().config.server.root_anchor.lab_hold_down, 0U);
  EXPECT_EQ(parse({"--policy-file", "p", "--state-dir", "s", "--lab-anchor-hold-down", "12"})
                .value()
                .config.server.root_anchor.lab_hold_down,
            12U);
  EXPECT_THAT(parse({"--policy-file", "p", "--lab-anchor-hold-down", "12"}).error(),
              HasSubstr("--state-dir"));
}

TEST(StartupConfig, OneSourceOfOrdersIsNeeded) {
  EXPECT_THAT(parse({}).error(), HasSubstr("--policy-file"));
  EXPECT_THAT(parse({"--controller", "c:1", "--policy-file", "p"}).error(), HasSubstr("either"));
}

TEST(StartupConfig, AMisspeltFlagIsAnErrorThatNamesIt) {
  EXPECT_THAT(parse({"--lisen", "[::]:53"}).error(), HasSubstr("--lisen"));
  EXPECT_FALSE(parse({"--policy-file", "p", "--workers", "-1"}).has_value());
  EXPECT_FALSE(parse({"--policy-file", "p", "--drain-timeout", "soon"}).has_value());
}

TEST(StartupConfig, EncryptedListenersNeedACertificateAndItsKey) {
  EXPECT_THAT(parse({"--policy-file", "p", "--dot-listen", "[::]:853"}).error(),
              HasSubstr("--dns-certificate"));
  EXPECT_THAT(parse({"--policy-file", "p", "--doh-listen", "[::]:443", "--dns-certificate", "c"}).error(),
              HasSubstr("--dns-key"));
  EXPECT_TRUE(
      parse({"--policy-file", "p", "--doh-listen", "[::]:443", "--dns-certificate", "c", "--dns-key", "k"})
          .has_value());
}

TEST(StartupConfig, HttpWithoutTlsIsForLoopbackAlone) {
  EXPECT_TRUE(parse({"--policy-file", "p", "--doh-http-listen", "[::1]:8053"}).has_value());
  EXPECT_THAT(parse({"--policy-file", "p", "--doh-http-listen", "[::]:8053"}).error(), HasSubstr("loopback"));
  EXPECT_THAT(parse({"--policy-file", "p", "--doh-http-listen", "192.0.2.1:80"}).error(),
              HasSubstr("loopback"));
}

TEST(StartupConfig, TrustedSendersAreLists) {
  const auto line = parse({"--policy-file", "p", "--proxy-from", "192.0.2.0/24", "--proxy-from", "::1",
                           "--ecs-from", "10.0.0.1"})
                        .value();
  EXPECT_TRUE(line.config.server.proxies.contains(Ipv4Address{192, 0, 2, 3}));
  EXPECT_TRUE(line.config.server.forwarders.contains(Ipv4Address{10, 0, 0, 1}));
  EXPECT_THAT(parse({"--policy-file", "p", "--proxy-from", "lb"}).error(), HasSubstr("--proxy-from"));
}

TEST(StartupConfig, HelpAndVersionExitAtOnce) {
  EXPECT_TRUE(parse({"--help"}).value().exit_now);
  EXPECT_THAT(parse({"--version"}).value().text, HasSubstr("dns64-svc"));
}

}  // namespace
}  // namespace isthmus::dns64
