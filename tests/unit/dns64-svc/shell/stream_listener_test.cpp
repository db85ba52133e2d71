// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/shell/stream_listener.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/unit/dns64-svc/shell/fake_handler.hpp"

namespace isthmus::dns64 {
namespace {

using namespace std::chrono_literals;

const std::string kRequest{
    "\0\x0c"
    "at once, 12b",
    14};

class StreamListenerTest : public testing::Test {
 protected:
  void listen(const StreamLimits& limits, StreamProtocol protocol = StreamProtocol::kDns) {
    listener_.reset();  // it uses the environment before
    environment_ = std::make_unique<StreamEnvironment>(*loop_, handler_, stats_, proxies_, limits);
    address_ = SocketAddress::parse("127.0.0.1:0").value();
    {  // a port of our own: the kernel picks it, the listener gets it
      const auto probe = open_tcp(address_).value();
      ASSERT_EQ(getsockname(probe.get(), reinterpret_cast<sockaddr*>(&address_.storage), &address_.size), 0);
    }
    listener_ = StreamListener::open(address_, protocol, *environment_).value();
  }
  UniqueFd connect_from(const char* source = "127.0.0.1") {
    UniqueFd fd{socket(AF_INET, SOCK_STREAM, 0)};
    const auto from = SocketAddress::parse(std::string{source} + ":0").value();
    EXPECT_EQ(bind(fd.get(), reinterpret_cast<const sockaddr*>(&from.storage), from.size), 0);
    EXPECT_EQ(connect(fd.get(), reinterpret_cast<const sockaddr*>(&address_.storage), address_.size), 0);
    loop_->turn(1s);
    listener_->sweep();
    return fd;
  }
  std::uint64_t open_count() { return stats_.open[static_cast<std::size_t>(Transport::kTcp)].get(); }
  std::uint64_t refused() {
    return stats_.ends[static_cast<std::size_t>(Transport::kTcp)][static_cast<std::size_t>(StreamEnd::kLimit)]
        .get();
  }

  FakeHandler handler_;
  StreamStats stats_;
  AddressList proxies_;
  std::unique_ptr<EventLoop> loop_ = EventLoop::create().value();
  std::unique_ptr<StreamEnvironment> environment_;
  SocketAddress address_;
  std::unique_ptr<StreamListener> listener_;
};

TEST_F(StreamListenerTest, OneClientCannotTakeAllConnections) {
  StreamLimits limits;
  limits.max_per_client = 2;
  listen(limits);
  const auto a = connect_from();
  const auto b = connect_from();
  const auto c = connect_from();
  const auto other = connect_from("127.0.0.2");
  EXPECT_EQ(open_count(), 3U);
  EXPECT_EQ(refused(), 1U);
}

TEST_F(StreamListenerTest, AllTogetherHaveALimitAndClosedOnesMakeRoom) {
  StreamLimits limits;
  limits.max_connections = 2;
  listen(limits);
  auto a = connect_from();
  const auto b = connect_from("127.0.0.2");
  const auto c = connect_from("127.0.0.3");
  EXPECT_EQ(refused(), 1U);
  a.reset();
  loop_->turn(1s);
  listener_->sweep();
  const auto d = connect_from("127.0.0.4");
  EXPECT_EQ(open_count(), 2U);
  EXPECT_EQ(refused(), 1U);
}

TEST_F(StreamListenerTest, ThoseWhoWouldOnlyBeRefusedGetHalfOfTheConnectionsAndOfTheHandshakes) {
  for (const bool handshakes : {false, true}) {
    StreamLimits limits;
    (handshakes ? limits.max_handshakes : limits.max_connections) = 4;
    proxies_ = handshakes ? AddressList::parse({"127.0.0.9"}).value() : AddressList{};
    handler_.served = Ipv4Address{127, 0, 0, 1};
    listen(limits);
    const auto before = refused();
    // Behind a balancer nobody is known before its header: these are handshakes.
    const char* first = handshakes ? "127.0.0.9" : "127.0.0.2";
    const auto a = connect_from(first);
    const auto b = connect_from(first);
    EXPECT_EQ(refused(), before);
    const auto c = connect_from("127.0.0.3");
    EXPECT_EQ(refused(), before + 1);
    const auto d = connect_from("127.0.0.1");
    EXPECT_EQ(refused(), before + 1);
  }
}

TEST_F(StreamListenerTest, WhoConnectsAndSaysNothingMakesRoomForOthers) {
  StreamLimits limits;
  limits.max_handshakes = 2;
  proxies_ = AddressList::parse({"127.0.0.9"}).value();
  listen(limits);
  const auto silent = connect_from("127.0.0.9");
  const auto slow = connect_from("127.0.0.9");
  const auto late = connect_from("127.0.0.9");
  EXPECT_EQ(refused(), 1U);
  EXPECT_EQ(environment_->handshakes.size(), 2U);
  char byte = 0;
  EXPECT_EQ(recv(silent.get(), &byte, 1, MSG_DONTWAIT), 0) << "the oldest has gone";
  EXPECT_EQ(recv(slow.get(), &byte, 1, MSG_DONTWAIT), -1);
  EXPECT_EQ(recv(late.get(), &byte, 1, MSG_DONTWAIT), -1);
}

TEST_F(StreamListenerTest, AClientBehindABalancerIsLookedAtLikeAnyOther) {
  StreamLimits limits;
  limits.max_connections = 4;
  proxies_ = AddressList::parse({"127.0.0.9"}).value();
  handler_.served = Ipv4Address{127, 0, 0, 1};
  listen(limits);
  const auto a = connect_from("127.0.0.1");
  const auto b = connect_from("127.0.0.1");
  for (const char client : {'\1', '\2'}) {
    const auto behind = connect_from("127.0.0.9");
    const auto header = std::string{"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c", 16} + std::string{"\177\0\0", 3} +
                        client + std::string{"\177\0\0\1\0\1\0\1", 8};
    ASSERT_EQ(write(behind.get(), header.data(), header.size()), std::ssize(header));
    loop_->turn(1s);
    EXPECT_EQ(refused(), client == 1 ? 0U : 1U);
  }
}

TEST_F(StreamListenerTest, DrainingTakesWhatTheKernelHasAcceptedAlready) {
  listen({});
  UniqueFd fd{socket(AF_INET, SOCK_STREAM, 0)};
  ASSERT_EQ(connect(fd.get(), reinterpret_cast<const sockaddr*>(&address_.storage), address_.size), 0);
  ASSERT_EQ(write(fd.get(), kRequest.data(), kRequest.size()), std::ssize(kRequest));
  listener_->drain();
  char reply[64];
  ASSERT_EQ(read(fd.get(), reply, sizeof reply), std::ssize(kRequest));
  EXPECT_EQ(open_count(), 0U);
  EXPECT_EQ(read(fd.get(), reply, sizeof reply), 0);
}

TEST_F(StreamListenerTest, DrainingTakesTheWholeBacklog) {
  listen({});
  std::vector<UniqueFd> waiting;
  for (int i = 0; i < 60; ++i) {
    waiting.emplace_back(socket(AF_INET, SOCK_STREAM, 0));
    const auto* const to = reinterpret_cast<const sockaddr*>(&address_.storage);
    ASSERT_EQ(connect(waiting.back().get(), to, address_.size), 0);
    ASSERT_EQ(write(waiting.back().get(), kRequest.data(), kRequest.size()), std::ssize(kRequest));
  }
  listener_->drain();
  char reply[64];
  for (const auto& fd : waiting) ASSERT_EQ(read(fd.get(), reply, sizeof reply), std::ssize(kRequest));
  EXPECT_EQ(open_count(), 0U);
}

// Without TLS the first bytes say which HTTP it is: they may wait in the socket.
TEST_F(StreamListenerTest, DrainingAnswersARequestWhoseProtocolIsNotKnownYet) {
  listen({}, StreamProtocol::kHttp);
  UniqueFd fd{socket(AF_INET, SOCK_STREAM, 0)};
  ASSERT_EQ(connect(fd.get(), reinterpret_cast<const sockaddr*>(&address_.storage), address_.size), 0);
  const std::string request = "GET /nothing HTTP/1.1\r\nhost: d\r\n\r\n";
  ASSERT_EQ(write(fd.get(), request.data(), request.size()), std::ssize(request));
  listener_->drain();
  std::string reply(512, '\0');
  const auto size = read(fd.get(), reply.data(), reply.size());
  ASSERT_GT(size, 0);
  EXPECT_TRUE(reply.starts_with("HTTP/1.1 404 ")) << reply;
}

}  // namespace
}  // namespace isthmus::dns64
