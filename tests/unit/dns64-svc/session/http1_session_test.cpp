// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/session/http1_session.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/dns64-svc/session/fake_host.hpp"

namespace isthmus::dns64 {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

// base64url of question('a') and question('l').
constexpr char kGetA[] = "GET /dns-query?dns=YQEBAAABAAAAAAAAAWEAAAEAAQ HTTP/1.1\r\nhost: d\r\n\r\n";
constexpr char kGetL[] = "GET /dns-query?dns=bAEBAAABAAAAAAAAAWEAAAEAAQ HTTP/1.1\r\nhost: d\r\n\r\n";

std::string post(char first, const std::string& fields = "content-type: application/dns-message\r\n") {
  const auto body = question(first);
  return "POST /dns-query HTTP/1.1\r\nhost: d\r\n" + fields +
         "content-length: " + std::to_string(body.size()) + "\r\n\r\n" +
         std::string{body.begin(), body.end()};
}

class Http1SessionTest : public testing::Test {
 protected:
  Http1SessionTest() { host.session = &session; }
  // As a connection gives them: the rest again, with more behind it.
  void say(const std::string& text) {
    rest.insert(rest.end(), text.begin(), text.end());
    const auto used = session.receive(rest);
    rest.erase(rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(used));
  }
  FakeHost host;
  Http1Session session{host};
  Bytes rest;
};

TEST_F(Http1SessionTest, AGetIsAnswered) {
  say(kGetA);
  ASSERT_EQ(host.requests.size(), 1U);
  EXPECT_EQ(host.requests[0], question('a'));
  const auto reply = FakeHost::reply_to(question('a'));
  EXPECT_EQ(
      host.heard(),
      "HTTP/1.1 200 OK\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\ncontent-type: application/dns-message\r\n"
      "cache-control: private, max-age=0\r\ncontent-length: 19\r\n\r\n" +
          std::string(reply.begin(), reply.end()));
  EXPECT_FALSE(session.finished());
}

TEST_F(Http1SessionTest, APostCutAnywhereIsPutTogether) {
  for (const char c : post('a')) say({c});
  EXPECT_THAT(host.heard(), StartsWith("HTTP/1.1 200 OK"));
  EXPECT_EQ(host.requests.at(0), question('a'));
}

// Found by the fuzzer: what follows the last chunk made Beast's parser abort.
TEST(Http1SessionOfAnyone, ABodyInChunksIsAskedForItsLength) {
  for (const std::string& chunks : {std::string{"13\r\n"}, std::string{"0h\r\n\x01\x01\r\n\r@\r\n"}}) {
    FakeHost host;
    Http1Session session{host};
    const std::string request =
        "POST /dns-query HTTP/1.1\r\ncontent-type: application/dns-message\r\ntransfer-encoding: "
        "chunked\r\n\r\n" +
        chunks;
    (void)session.receive({reinterpret_cast<const std::uint8_t*>(request.data()), request.size()});
    EXPECT_THAT(host.heard(), StartsWith("HTTP/1.1 411 Length Required"));
    EXPECT_TRUE(session.finished());
    EXPECT_TRUE(host.requests.empty());
  }
}

TEST_F(Http1SessionTest, TheNextRequestWaitsForTheAnswerToTheOneBefore) {
  say(std::string{kGetL} + kGetA);
  EXPECT_EQ(host.requests.size(), 1U);
  EXPECT_FALSE(session.takes_more());
  EXPECT_FALSE(rest.empty());
  host.answer(0);
  EXPECT_THAT(host.heard(), StartsWith("HTTP/1.1 200 OK"));
  say("");
  EXPECT_EQ(host.requests.size(), 2U);
  EXPECT_THAT(host.heard(), StartsWith("HTTP/1.1 200 OK"));
}

TEST_F(Http1SessionTest, RefusalsHaveTheirStatusAndTheConnectionGoesOn) {
  const std::pair<std::string, std::string> cases[] = {
      {"GET / HTTP/1.1\r\n\r\n", "404 Not Found"},
      {"GET /dns-query HTTP/1.1\r\n\r\n", "400 Bad Request"},
      {"GET /dns-query?dns=YQEB HTTP/1.1\r\n\r\n", "400 Bad Request"},
      {"DELETE /dns-query HTTP/1.1\r\n\r\n", "405 Method Not Allowed"},
      {post('n'), "429 Too Many Requests"}};
  for (const auto& [text, status] : cases) {
    say(text);
    const auto answer = host.heard();
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 " + status)) << text;
    EXPECT_THAT(answer, HasSubstr("content-length: 0\r\n"));
    EXPECT_FALSE(session.finished()) << text;
  }
  say("DELETE /dns-query HTTP/1.1\r\n\r\n");
  EXPECT_THAT(host.heard(), HasSubstr("allow: GET, POST\r\n"));
}

// RFC 9110 §15.6.4.
TEST_F(Http1SessionTest, BeforeThereIsAPolicyTheServiceIsNotAvailable) {
  host.never_because = DropReason::kNotReady;
  say(post('n'));
  EXPECT_THAT(host.heard(), testing::AllOf(StartsWith("HTTP/1.1 503 Service Unavailable\r\n"),
                                           HasSubstr("retry-after: 2\r\n")));
  EXPECT_FALSE(session.finished());
}

TEST_F(Http1SessionTest, ABodyOfAnotherTypeIsNotReadAtAll) {
  say("POST /dns-query HTTP/1.1\r\ncontent-type: text/plain\r\ncontent-length: 1000\r\n\r\n");
  EXPECT_THAT(host.heard(), testing::AllOf(StartsWith("HTTP/1.1 415 "), HasSubstr("connection: close")));
  EXPECT_TRUE(session.finished());
}

TEST_F(Http1SessionTest, TooLargeABodyIsRefusedByItsLength) {
  say("POST /dns-query HTTP/1.1\r\ncontent-type: application/dns-message\r\ncontent-length: 65536\r\n\r\n");
  EXPECT_THAT(host.heard(), StartsWith("HTTP/1.1 413 "));
  EXPECT_TRUE(session.finished());
}

TEST_F(Http1SessionTest, HeadersWithoutEndAreRefused) {
  say("GET /dns-query HTTP/1.1\r\n");
  for (int i = 0; i < 2000 && !session.finished(); ++i) say("x-padding: aaaaaaaaaaaaaaaaaaaa\r\n");
  EXPECT_THAT(host.heard(), StartsWith("HTTP/1.1 431 "));
  EXPECT_TRUE(session.finished());
}

TEST_F(Http1SessionTest, WhatIsNotHttpIsRefused) {
  say("\x16\x03\x01 hello, TLS\r\n\r\n");
  EXPECT_THAT(host.heard(), StartsWith("HTTP/1.1 400 "));
  EXPECT_TRUE(session.finished());
}

TEST_F(Http1SessionTest, CloseAndHttp10AreHonoured) {
  say("GET /dns-query?dns=YQEBAAABAAAAAAAAAWEAAAEAAQ HTTP/1.0\r\n\r\n");
  EXPECT_THAT(host.heard(), HasSubstr("connection: close\r\n"));
  EXPECT_TRUE(session.finished());
}

TEST_F(Http1SessionTest, AContinuationIsGivenToThoseWhoWaitForIt) {
  say("POST /dns-query HTTP/1.1\r\ncontent-type: application/dns-message\r\nexpect: 100-continue\r\n"
      "content-length: 19\r\n\r\n");
  EXPECT_EQ(host.heard(), "HTTP/1.1 100 Continue\r\n\r\n");
  const auto body = question('a');
  say({body.begin(), body.end()});
  EXPECT_THAT(host.heard(), StartsWith("HTTP/1.1 200 OK"));
}

TEST_F(Http1SessionTest, DrainingAnswersWhatIsInWorkAndCloses) {
  say(kGetL);
  session.drain();
  EXPECT_FALSE(session.finished());
  host.answer(0);
  EXPECT_THAT(host.heard(), HasSubstr("connection: close\r\n"));
  EXPECT_TRUE(session.finished());
}

}  // namespace
}  // namespace isthmus::dns64
