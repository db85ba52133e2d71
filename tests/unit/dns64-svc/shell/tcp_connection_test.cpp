// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/shell/tcp_connection.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <memory>
#include <string>

#include "tests/unit/dns64-svc/shell/fake_handler.hpp"

namespace isthmus::dns64 {
namespace {

using namespace std::chrono_literals;

std::string framed(const std::string& text) {
  return std::string{static_cast<char>(text.size() >> 8), static_cast<char>(text.size() & 0xff)} + text;
}

class TcpConnectionTest : public testing::Test, public Channel {
 protected:
  void SetUp() override {
    int fds[2] = {-1, -1};
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    peer_.reset(fds[1]);
    loop_ = EventLoop::create().value();
    owner_ = std::make_unique<TcpConnection::Owner>(TcpConnection::Owner{
        .loop = *loop_, .handler = handler_, .channel = *this, .scratch = scratch_, .on_end = [this](auto) {
          ended_ = true;
        }});
    connection_ = std::make_unique<TcpConnection>(UniqueFd{fds[0]}, 7, ClientInfo{}, *owner_);
    ASSERT_TRUE(connection_->start());
  }
  void send(const ReplyPath& path, std::span<const std::uint8_t> reply) override {
    EXPECT_EQ(path.connection, 7U);
    connection_->send(reply);
  }
  void abandon(const ReplyPath& path) override {
    EXPECT_EQ(path.connection, 7U);
    connection_->abandon();
  }
  void say(const std::string& bytes) {
    ASSERT_EQ(write(peer_.get(), bytes.data(), bytes.size()), std::ssize(bytes));
  }
  std::string hear() {
    char buffer[65536];
    const auto size = read(peer_.get(), buffer, sizeof buffer);
    return size <= 0 ? std::string{} : std::string(buffer, static_cast<std::size_t>(size));
  }

  FakeHandler handler_;
  std::unique_ptr<EventLoop> loop_;
  std::array<std::uint8_t, 65535> scratch_{};
  std::unique_ptr<TcpConnection::Owner> owner_;
  UniqueFd peer_;
  std::unique_ptr<TcpConnection> connection_;
  bool ended_ = false;
};

const std::string kAtOnce = "at once, 12+ bytes";
const std::string kLater = "later, 12+ bytes";
const std::string kNever = "never, 12+ bytes";

TEST_F(TcpConnectionTest, RequestsCutAnywhereArePutTogether) {
  const auto bytes = framed(kAtOnce);
  for (const char byte : bytes) {
    EXPECT_EQ(hear(), "");
    say({byte});
    loop_->turn(1s);
  }
  EXPECT_EQ(hear(), framed(kAtOnce));
}

TEST_F(TcpConnectionTest, PipelinedRequestsAreAnsweredAsTheyAreReady) {
  say(framed(kLater + " 1") + framed(kAtOnce) + framed(kNever) + framed(kLater + " 2"));
  loop_->turn(1s);
  EXPECT_EQ(hear(), framed(kAtOnce));
  handler_.answer(1);
  EXPECT_EQ(hear(), framed(kLater + " 2"));
  handler_.answer(0);
  EXPECT_EQ(hear(), framed(kLater + " 1"));
  EXPECT_FALSE(ended_);
}

TEST_F(TcpConnectionTest, APeerThatHasSaidAllStillGetsItsAnswers) {
  say(framed(kLater));
  ASSERT_EQ(shutdown(peer_.get(), SHUT_WR), 0);
  for (int i = 0; i < 3; ++i) loop_->turn(0ms);
  EXPECT_FALSE(ended_);
  handler_.answer(0);
  EXPECT_EQ(hear(), framed(kLater));
  EXPECT_TRUE(ended_);
}

TEST_F(TcpConnectionTest, AMessageWithoutRoomForAHeaderEndsTheStream) {
  say(framed("short"));
  loop_->turn(1s);
  EXPECT_TRUE(ended_);
  EXPECT_TRUE(handler_.requests.empty());
}

TEST_F(TcpConnectionTest, NoMoreRequestsAreTakenThanTheLimitUntilSomeAreAnswered) {
  std::string many;
  for (std::size_t i = 0; i < TcpConnection::kMaxInWork + 10; ++i) many += framed(kLater);
  say(many);
  for (int i = 0; i < 10; ++i) loop_->turn(0ms);
  EXPECT_EQ(handler_.requests.size(), TcpConnection::kMaxInWork);
  for (std::size_t i = 0; i < 10; ++i) handler_.answer(i);
  for (int i = 0; i < 10; ++i) loop_->turn(0ms);
  EXPECT_EQ(handler_.requests.size(), TcpConnection::kMaxInWork + 10);
}

TEST_F(TcpConnectionTest, APeerThatDoesNotReadIsNotServedForEver) {
  const std::string big = kAtOnce + std::string(60000, 'x');
  // The peer's socket buffer and our own limit bound what is held for it.
  std::size_t written = 0;
  for (int i = 0; i < 200; ++i) {
    const auto bytes = framed(big);
    const auto n = write(peer_.get(), bytes.data(), bytes.size());
    if (n < std::ssize(bytes)) break;
    written += static_cast<std::size_t>(n);
    for (int turns = 0; turns < 20; ++turns) loop_->turn(0ms);
  }
  EXPECT_LT(written, std::size_t{4} << 20);
  EXPECT_FALSE(ended_);
}

TEST_F(TcpConnectionTest, DrainingEndsWhenWhatIsInWorkIsAnswered) {
  say(framed(kLater));
  loop_->turn(1s);
  connection_->drain();
  EXPECT_FALSE(ended_);
  handler_.answer(0);
  EXPECT_EQ(hear(), framed(kLater));
  EXPECT_TRUE(ended_);
}

TEST_F(TcpConnectionTest, AClosedPeerEndsIt) {
  peer_.reset();
  loop_->turn(1s);
  EXPECT_TRUE(ended_);
}

}  // namespace
}  // namespace isthmus::dns64
