// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/shell/udp_listener.hpp"

#include <gtest/gtest.h>
#include <poll.h>

#include <cstring>
#include <string>

#include "tests/unit/dns64-svc/shell/fake_handler.hpp"

namespace isthmus::dns64 {
namespace {

using namespace std::chrono_literals;

// A port of our own: the kernel picks it, the listener gets it.
SocketAddress free_address(const std::string& text) {
  auto address = SocketAddress::parse(text).value();
  const auto probe = open_udp(address).value();
  EXPECT_EQ(getsockname(probe.get(), reinterpret_cast<sockaddr*>(&address.storage), &address.size), 0);
  return address;
}

class UdpListenerTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    address_ = free_address(GetParam());
    loop_ = EventLoop::create().value();
    listener_ = UdpListener::open(address_, *loop_, handler_, proxies_).value();
    client_.reset(socket(address_.storage.ss_family, SOCK_DGRAM, 0));
    auto to = address_;
    if (address_.is_wildcard()) {  // an address that is not the one routes would choose
      const auto port = to.to_string().substr(to.to_string().rfind(':') + 1);
      to = SocketAddress::parse(address_.is_ipv6() ? "[::1]:" + port : "127.0.0.7:" + port).value();
    }
    ASSERT_EQ(connect(client_.get(), reinterpret_cast<const sockaddr*>(&to.storage), to.size), 0);
  }
  void say(const std::string& text) {
    ASSERT_EQ(send(client_.get(), text.data(), text.size(), 0), std::ssize(text));
  }
  // A connected socket takes replies from the address it asked alone.
  std::string hear() {
    pollfd ready{.fd = client_.get(), .events = POLLIN, .revents = 0};
    if (poll(&ready, 1, 2000) != 1) return "(nothing)";
    char buffer[4096];
    const auto size = recv(client_.get(), buffer, sizeof buffer, 0);
    return size < 0 ? std::strerror(errno) : std::string(buffer, static_cast<std::size_t>(size));
  }

  SocketAddress address_;
  FakeHandler handler_;
  AddressList proxies_;
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<UdpListener> listener_;
  UniqueFd client_;
};

TEST_P(UdpListenerTest, RepliesComeFromTheAddressThatWasAsked) {
  say("at once");
  loop_->turn(1s);
  EXPECT_EQ(hear(), "at once");
}

TEST_P(UdpListenerTest, LateRepliesFindTheirClient) {
  say("later 1");
  say("later 2");
  say("never");
  while (handler_.requests.size() < 3) loop_->turn(1s);
  handler_.answer(1);
  handler_.answer(0);
  listener_->flush();
  EXPECT_EQ(hear(), "later 2");
  EXPECT_EQ(hear(), "later 1");
}

TEST_P(UdpListenerTest, MoreThanABatchIsAnswered) {
  for (int i = 0; i < 100; ++i) say("a" + std::to_string(i));
  while (handler_.requests.size() < 100) loop_->turn(1s);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(hear(), "a" + std::to_string(i));
  EXPECT_EQ(listener_->send_failures(), 0U);
}

TEST_P(UdpListenerTest, MoreLateRepliesThanABatchAreSent) {
  for (int i = 0; i < 50; ++i) say("l" + std::to_string(i));
  while (handler_.requests.size() < 50) loop_->turn(1s);
  for (std::size_t i = 0; i < 50; ++i) handler_.answer(i);
  listener_->flush();
  for (int i = 0; i < 50; ++i) EXPECT_EQ(hear(), "l" + std::to_string(i));
}

TEST_P(UdpListenerTest, DatagramsOfAListedBalancerBeginWithAPROXYHeader) {
  proxies_ = AddressList::parse({"127.0.0.0/8", "::1"}).value();
  const std::string header{"\r\n\r\n\0\r\nQUIT\n\x21\x12\0\x0c\xc6\x33\x64\x07\xc0\0\x02\x01\x9c\x40\0\x35",
                           28};
  say("a plain one");
  say(header + "a question");
  while (handler_.requests.empty()) loop_->turn(1s);
  EXPECT_EQ(hear(), "a question");
  EXPECT_EQ(handler_.clients.at(0).address, ClientAddress(Ipv4Address{198, 51, 100, 7}));
  EXPECT_EQ(handler_.requests.size(), 1U);
  EXPECT_EQ(listener_->proxy_errors(), 1U);
}

TEST_P(UdpListenerTest, DrainingAnswersWhatHasComeAlready) {
  for (int i = 0; i < 40; ++i) say("a" + std::to_string(i));
  listener_->drain();
  EXPECT_EQ(handler_.requests.size(), 40U);
  say("a late one");
  loop_->turn(10ms);
  EXPECT_EQ(handler_.requests.size(), 40U);
}

TEST_P(UdpListenerTest, AGlanceAnswersOneBatchAndNothingOnceItIsDrained) {
  listener_->glance();  // nobody has asked: it does not wait
  for (int i = 0; i < 40; ++i) say("a" + std::to_string(i));
  listener_->glance();
  EXPECT_EQ(handler_.requests.size(), 32);
  for (int i = 0; i < 32; ++i) EXPECT_EQ(hear(), "a" + std::to_string(i));
  listener_->drain();
  say("too late");
  listener_->glance();
  EXPECT_EQ(handler_.requests.size(), 40);
}

INSTANTIATE_TEST_SUITE_P(Addresses, UdpListenerTest,
                         testing::Values("127.0.0.1:0", "[::1]:0", "0.0.0.0:0", "[::]:0"));

}  // namespace
}  // namespace isthmus::dns64
