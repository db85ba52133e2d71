// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/shell/stream_connection.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <memory>
#include <string>

#include "tests/unit/dns64-svc/shell/fake_handler.hpp"

namespace isthmus::dns64 {
namespace {

using namespace std::chrono_literals;
using testing::StartsWith;

std::string framed(const std::string& text) {
  return std::string{static_cast<char>(text.size() >> 8), static_cast<char>(text.size() & 0xff)} + text;
}

// PROXY v2 of 198.51.100.7 over TCP.
std::string proxy_header() {
  return {"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc6\x33\x64\x07\xc0\0\x02\x01\x9c\x40\0\x35", 28};
}

class StreamConnectionTest : public testing::Test, public Channel {
 protected:
  void open(StreamProtocol protocol = StreamProtocol::kDns, bool proxied = false) {
    int fds[2] = {-1, -1};
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    peer_.reset(fds[1]);
    connection_.reset();
    StreamLimits limits;
    limits.max_per_client = 1;
    limits.idle = idle_;
    limits.handshake = handshake_;
    environment_ = std::make_unique<StreamEnvironment>(*loop_, handler_, stats_, proxies_, limits);
    owner_ = std::make_unique<StreamConnection::Owner>(StreamConnection::Owner{
        .environment = *environment_, .channel = *this, .protocol = protocol, .on_end = [this](auto) {
          ended_ = true;
        }});
    const auto transport = protocol == StreamProtocol::kDns ? Transport::kTcp : Transport::kHttps;
    connection_ = std::make_unique<StreamConnection>(
        UniqueFd{fds[0]}, 7, ClientInfo{.address = Ipv4Address{192, 0, 2, 1}, .transport = transport},
        *owner_);
    ASSERT_TRUE(connection_->start(proxied));
  }
  void send(const ReplyPath& path, std::span<const std::uint8_t> reply) override {
    EXPECT_EQ(path.connection, 7U);
    connection_->reply(path, reply);
  }
  void abandon(const ReplyPath& path, DropReason why) override {
    EXPECT_EQ(path.connection, 7U);
    connection_->abandon(path, why);
  }
  void say(const std::string& bytes) {
    ASSERT_EQ(write(peer_.get(), bytes.data(), bytes.size()), std::ssize(bytes));
  }
  std::string hear() {
    char buffer[65536];
    const auto size = read(peer_.get(), buffer, sizeof buffer);
    return size <= 0 ? std::string{} : std::string(buffer, static_cast<std::size_t>(size));
  }
  void turns(int count = 5) {
    for (int i = 0; i < count; ++i) loop_->turn(0ms);
  }
  void turn_until_ended() {
    for (int i = 0; i < 1000 && !ended_; ++i) loop_->turn(10ms);
  }
  std::uint64_t ends(StreamEnd why, Transport transport = Transport::kTcp) {
    return stats_.ends[static_cast<std::size_t>(transport)][static_cast<std::size_t>(why)].get();
  }
  std::uint64_t open_count(Transport transport = Transport::kTcp) {
    return stats_.open[static_cast<std::size_t>(transport)].get();
  }

  FakeHandler handler_;
  StreamStats stats_;
  AddressList proxies_;
  Duration idle_ = 10s;
  Duration handshake_ = 10s;
  std::unique_ptr<EventLoop> loop_ = EventLoop::create().value();
  std::unique_ptr<StreamEnvironment> environment_;
  std::unique_ptr<StreamConnection::Owner> owner_;
  UniqueFd peer_;
  std::unique_ptr<StreamConnection> connection_;
  bool ended_ = false;
};

const std::string kAtOnce = "at once, 12+ bytes";
const std::string kLater = "later, 12+ bytes";
const std::string kNever = "never, 12+ bytes";

TEST_F(StreamConnectionTest, RequestsCutAnywhereArePutTogether) {
  open();
  const auto bytes = framed(kAtOnce);
  for (const char byte : bytes) {
    EXPECT_EQ(hear(), "");
    say({byte});
    loop_->turn(1s);
  }
  EXPECT_EQ(hear(), framed(kAtOnce));
  EXPECT_EQ(open_count(), 1U);
}

TEST_F(StreamConnectionTest, PipelinedRequestsAreAnsweredAsTheyAreReady) {
  open();
  say(framed(kLater + " 1") + framed(kAtOnce) + framed(kNever) + framed(kLater + " 2"));
  loop_->turn(1s);
  EXPECT_EQ(hear(), framed(kAtOnce));
  handler_.answer(1);
  EXPECT_EQ(hear(), framed(kLater + " 2"));
  handler_.answer(0);
  EXPECT_EQ(hear(), framed(kLater + " 1"));
  EXPECT_FALSE(ended_);
}

TEST_F(StreamConnectionTest, APeerThatHasSaidAllStillGetsItsAnswers) {
  open();
  say(framed(kLater));
  ASSERT_EQ(shutdown(peer_.get(), SHUT_WR), 0);
  turns();
  EXPECT_FALSE(ended_);
  handler_.answer(0);
  EXPECT_EQ(hear(), framed(kLater));
  EXPECT_TRUE(ended_);
  EXPECT_EQ(ends(StreamEnd::kPeer), 1U);
  EXPECT_EQ(open_count(), 0U);
}

TEST_F(StreamConnectionTest, AStreamThatIsNotDnsIsEnded) {
  open();
  say(framed("short"));
  loop_->turn(1s);
  EXPECT_EQ(hear(), "");  // end of file, not a reset
  EXPECT_EQ(open_count(), 0U);
  peer_.reset();
  turn_until_ended();
  EXPECT_EQ(ends(StreamEnd::kProtocol), 1U);
  EXPECT_TRUE(handler_.requests.empty());
}

TEST_F(StreamConnectionTest, NoMoreRequestsAreTakenThanTheLimitUntilSomeAreAnswered) {
  open();
  std::string many;
  for (std::size_t i = 0; i < Session::kMaxInWork + 10; ++i) many += framed(kLater);
  say(many);
  turns(10);
  EXPECT_EQ(handler_.requests.size(), Session::kMaxInWork);
  for (std::size_t i = 0; i < 10; ++i) handler_.answer(i);
  turns(10);
  EXPECT_EQ(handler_.requests.size(), Session::kMaxInWork + 10);
}

TEST_F(StreamConnectionTest, APeerThatDoesNotReadIsNotServedForEver) {
  idle_ = 50ms;
  open();
  const std::string big = framed(kAtOnce + std::string(60000, 'x'));
  // The peer's socket buffer and our own limit bound what is held for it.
  std::size_t written = 0;
  for (int i = 0; i < 200; ++i) {
    const auto n = ::send(peer_.get(), big.data(), big.size(), MSG_NOSIGNAL);
    if (n < std::ssize(big)) break;
    written += static_cast<std::size_t>(n);
    turns(20);
  }
  EXPECT_LT(written, std::size_t{4} << 20);
  turn_until_ended();
  EXPECT_EQ(ends(StreamEnd::kSlowReader), 1U);
}

// A slow sender ("slowloris") has the time of an idle one: only whole requests count.
TEST_F(StreamConnectionTest, BytesThatMakeNoRequestDoNotKeepItAlive) {
  idle_ = 50ms;
  open();
  say(std::string{"\0\x30", 2});
  for (int i = 0; i < 100 && !ended_; ++i) {
    const char byte = 'x';
    if (i < 20) (void)::send(peer_.get(), &byte, 1, MSG_NOSIGNAL);
    loop_->turn(5ms);
  }
  EXPECT_TRUE(ended_);
  EXPECT_EQ(ends(StreamEnd::kIdle), 1U);
}

TEST_F(StreamConnectionTest, WhatIsInWorkKeepsItAlive) {
  idle_ = 20ms;
  open();
  say(framed(kLater));
  for (int i = 0; i < 10; ++i) loop_->turn(10ms);
  EXPECT_FALSE(ended_);
  handler_.answer(0);
  EXPECT_EQ(hear(), framed(kLater));
}

TEST_F(StreamConnectionTest, DrainingEndsWhenWhatHasComeIsAnswered) {
  open();
  say(framed(kLater));
  loop_->turn(1s);
  say(framed(kLater + " 2"));  // not read yet
  connection_->drain();
  handler_.answer(0);
  EXPECT_EQ(open_count(), 1U);
  handler_.answer(1);
  EXPECT_EQ(hear(), framed(kLater) + framed(kLater + " 2"));
  EXPECT_EQ(open_count(), 0U);
  peer_.reset();
  turn_until_ended();
  EXPECT_EQ(ends(StreamEnd::kDrained), 1U);
}

// Requests are cheap to send and their replies dear to hold.
TEST_F(StreamConnectionTest, LateRepliesThatNobodyReadsEndIt) {
  open();
  std::string asked;
  for (int i = 0; i < 100; ++i) asked += framed("l, 12 bytes and more");
  say(asked);
  turns();
  ASSERT_EQ(handler_.waiting.size(), 100U);
  std::size_t taken = 0;
  for (auto& waiting : handler_.waiting) {
    if (ended_) break;
    waiting.request.resize(60000);
    send(waiting.path, waiting.request);
    taken += 60000;
  }
  EXPECT_EQ(ends(StreamEnd::kSlowReader), 1U);
  EXPECT_GT(taken, 2 * Session::kMaxUnsent);
  EXPECT_LT(taken, 2 * Session::kMaxUnsent + 60000 * 10);  // and what the kernel holds
}

TEST_F(StreamConnectionTest, AClosedPeerEndsIt) {
  open();
  peer_.reset();
  loop_->turn(1s);
  EXPECT_TRUE(ended_);
}

TEST_F(StreamConnectionTest, TheClientIsTheOneThatThePROXYHeaderNames) {
  open(StreamProtocol::kDns, true);
  const auto bytes = proxy_header() + framed(kAtOnce);
  for (const char byte : bytes) {
    say({byte});
    loop_->turn(1s);
  }
  EXPECT_EQ(hear(), framed(kAtOnce));
  ASSERT_EQ(handler_.clients.size(), 1U);
  EXPECT_EQ(handler_.clients[0].address, ClientAddress(Ipv4Address{198, 51, 100, 7}));
  EXPECT_EQ(stats_.proxied.get(), 1U);
  EXPECT_EQ(environment_->handshakes.size(), 0U);
}

TEST_F(StreamConnectionTest, WithoutTheHeaderAListedBalancerIsNotServed) {
  open(StreamProtocol::kDns, true);
  say(framed(kAtOnce));
  loop_->turn(1s);
  EXPECT_TRUE(ended_);
  EXPECT_EQ(ends(StreamEnd::kProxy), 1U);
  EXPECT_TRUE(handler_.requests.empty());
}

TEST_F(StreamConnectionTest, ClientsBehindABalancerAreCountedOneByOne) {
  open(StreamProtocol::kDns, true);
  ASSERT_TRUE(environment_->quota.take_client(Ipv4Address{198, 51, 100, 7}));  // another connection of it
  say(proxy_header() + framed(kAtOnce));
  loop_->turn(1s);
  EXPECT_EQ(ends(StreamEnd::kLimit), 1U);
}

TEST_F(StreamConnectionTest, AHeaderThatDoesNotComeEndsIt) {
  handshake_ = 30ms;
  open(StreamProtocol::kDns, true);
  say(proxy_header().substr(0, 20));
  EXPECT_EQ(environment_->handshakes.size(), 1U);
  turn_until_ended();
  EXPECT_EQ(ends(StreamEnd::kHandshake), 1U);
  EXPECT_EQ(environment_->handshakes.size(), 0U);
}

TEST_F(StreamConnectionTest, HttpIsToldFromHttp2ByItsFirstBytes) {
  open(StreamProtocol::kHttp);
  say("G");
  loop_->turn(1s);
  say("ET / HTTP/1.1\r\nconnection: close\r\n\r\n");
  loop_->turn(1s);
  EXPECT_THAT(hear(), StartsWith("HTTP/1.1 404 "));
  open(StreamProtocol::kHttp);
  say("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + std::string{"\0\0\0\x04\0\0\0\0\0", 9});
  loop_->turn(1s);
  const auto settings = hear();
  ASSERT_GT(settings.size(), 9U);
  EXPECT_EQ(settings[3], 4);  // a SETTINGS frame (RFC 9113 §6.5)
}

TEST_F(StreamConnectionTest, TlsWithoutACertificateIsNotServed) {
  open(StreamProtocol::kDnsTls);
  EXPECT_TRUE(ended_);
}

}  // namespace
}  // namespace isthmus::dns64
