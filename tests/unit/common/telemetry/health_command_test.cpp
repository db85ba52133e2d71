// SPDX-License-Identifier: Apache-2.0
#include "common/telemetry/health_command.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/telemetry/http_endpoint.hpp"

namespace isthmus {
namespace {

using testing::HasSubstr;

std::unique_ptr<HttpEndpoint> program_that_says(unsigned status, std::string body) {
  auto endpoint = HttpEndpoint::start("127.0.0.1:0",
                                      {{"/readyz", [=] { return HttpReply{status, "text/plain", body}; }}});
  EXPECT_TRUE(endpoint) << endpoint.error();
  return std::move(*endpoint);
}

std::string address_of(const HttpEndpoint& endpoint) {
  return "127.0.0.1:" + std::to_string(endpoint.port());
}

TEST(HealthCommand, is_only_meant_by_the_word_health) {
  const char* start[] = {"nat64-svc", "--interface6", "lan"};
  EXPECT_FALSE(health_command("nat64-svc", "127.0.0.1:1", 3, start));
  EXPECT_FALSE(health_command("nat64-svc", "127.0.0.1:1", 1, start));
}

TEST(HealthCommand, exits_with_0_when_the_program_is_ready) {
  const auto program = program_that_says(200, "ready\n");
  const auto address = address_of(*program);
  const char* words[] = {"nat64-svc", "health", address.c_str()};
  EXPECT_EQ(health_command("nat64-svc", "127.0.0.1:1", 3, words), 0);
  EXPECT_EQ(health_command("nat64-svc", address, 2, words), 0);
}

TEST(HealthCommand, tells_why_the_program_is_not_ready) {
  const auto program = program_that_says(503, "not ready: no policy yet\n");
  const auto answer = ask_health(address_of(*program));
  EXPECT_FALSE(answer.ready);
  EXPECT_EQ(answer.sentence, "not ready: no policy yet");
}

TEST(HealthCommand, exits_with_1_when_nobody_answers) {
  auto program = program_that_says(200, "ready\n");
  const auto address = address_of(*program);
  program.reset();  // the port is free now
  const auto answer = ask_health(address);
  EXPECT_FALSE(answer.ready);
  EXPECT_THAT(answer.sentence, HasSubstr("nobody answers at " + address));
  const char* words[] = {"nat64-svc", "health"};
  EXPECT_EQ(health_command("nat64-svc", address, 2, words), 1);
}

TEST(HealthCommand, refuses_what_is_no_address_and_a_second_argument) {
  EXPECT_THAT(ask_health("9464").sentence, HasSubstr("9464 is not host:port"));
  const char* words[] = {"nat64-svc", "health", "127.0.0.1:1", "more"};
  EXPECT_EQ(health_command("nat64-svc", "127.0.0.1:1", 4, words), 2);
}

}  // namespace
}  // namespace isthmus
