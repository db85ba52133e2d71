// SPDX-License-Identifier: Apache-2.0
#include "nat64-svc/shell/syslog_sender.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <filesystem>
#include <thread>
#include <vector>

namespace isthmus::nat64 {
namespace {

const TimePoint kStart{std::chrono::hours{1}};

std::string receive(int fd) {
  char buffer[4096];
  const auto n = recv(fd, buffer, sizeof buffer, 0);
  return n < 0 ? "" : std::string(buffer, static_cast<std::size_t>(n));
}

// A socket bound to a free port of the loopback address; `port` gets it.
UniqueFd bound(int type, std::uint16_t& port) {
  UniqueFd fd(socket(AF_INET, type, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* generic = static_cast<sockaddr*>(static_cast<void*>(&address));
  EXPECT_EQ(bind(fd.get(), generic, length), 0);
  EXPECT_EQ(getsockname(fd.get(), generic, &length), 0);
  port = ntohs(address.sin_port);
  return fd;
}

// The acknowledgement may come a moment later.
bool sends(SyslogSender& sender, std::uint64_t wanted) {
  for (int i = 0; i < 200 && sender.sent() < wanted; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds{10});
    sender.send(kStart + std::chrono::hours{1});
  }
  return sender.sent() == wanted;
}

TEST(SyslogMessage, HasTheHeaderOfRfc5424) {
  EXPECT_EQ(syslog_message("2026-01-31T12:00:00.123Z", "gw1", 42, "block_taken", "{}"),
            "<134>1 2026-01-31T12:00:00.123Z gw1 nat64-svc 42 block_taken - {}");
}

TEST(SyslogMessage, ANodeNameCannotForgeFields) {
  EXPECT_EQ(syslog_message("t", "a b\n", 1, "", "m"), "<134>1 t a_b_ nat64-svc 1 - - m");
}

TEST(SyslogSender, ATargetInNoSenseIsRefused) {
  for (const char* target : {"", "/dev/log", "udp:", "udp:host", "tls:host:1", "unix:"}) {
    EXPECT_FALSE(SyslogSender::open(target)) << target;
  }
}

TEST(SyslogSender, UdpCarriesOneMessagePerDatagram) {
  std::uint16_t port = 0;
  const auto collector = bound(SOCK_DGRAM, port);
  auto sender = SyslogSender::open("udp:127.0.0.1:" + std::to_string(port));
  ASSERT_TRUE(sender);
  (*sender)->add("one");
  (*sender)->add("two");
  (*sender)->send(kStart);
  EXPECT_EQ(receive(collector.get()), "one");
  EXPECT_EQ(receive(collector.get()), "two");
  EXPECT_EQ((*sender)->sent(), 2U);
}

TEST(SyslogSender, TcpCountsOctetsAndComesBackAfterTheCollectorWasAway) {
  std::uint16_t port = 0;
  const auto listener = bound(SOCK_STREAM, port);
  auto sender = SyslogSender::open("tcp:127.0.0.1:" + std::to_string(port));
  ASSERT_TRUE(sender);
  (*sender)->add("hello");
  (*sender)->send(kStart);  // nobody listens yet
  EXPECT_EQ((*sender)->sent(), 0U);
  ASSERT_EQ(listen(listener.get(), 1), 0);
  (*sender)->send(kStart + std::chrono::milliseconds{900});  // not yet: it waits a second
  EXPECT_EQ((*sender)->sent(), 0U);
  (*sender)->send(kStart + std::chrono::seconds{1});
  const UniqueFd peer(accept(listener.get(), nullptr, nullptr));
  EXPECT_EQ(receive(peer.get()), "5 hello");
  EXPECT_TRUE(sends(**sender, 1));
}

TEST(SyslogSender, ACollectorThatClosedTheConnectionGetsTheNextMessageOverAnotherOne) {
  std::uint16_t port = 0;
  const auto listener = bound(SOCK_STREAM, port);
  ASSERT_EQ(listen(listener.get(), 4), 0);
  auto sender = SyslogSender::open("tcp:127.0.0.1:" + std::to_string(port));
  ASSERT_TRUE(sender);
  (*sender)->add("one");
  (*sender)->send(kStart);
  {
    const UniqueFd peer(accept(listener.get(), nullptr, nullptr));
    EXPECT_EQ(receive(peer.get()), "3 one");
    ASSERT_TRUE(sends(**sender, 1));
  }
  (*sender)->add("two");
  (*sender)->send(kStart);
  const UniqueFd peer(accept(listener.get(), nullptr, nullptr));
  EXPECT_EQ(receive(peer.get()), "3 two");
}

// A collector that reads nothing and dies.
TEST(SyslogSender, WhatWasNotAcknowledgedIsSentAgain) {
  std::uint16_t port = 0;
  const auto listener = bound(SOCK_STREAM, port);
  const int small = 4096;
  ASSERT_EQ(setsockopt(listener.get(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
  ASSERT_EQ(listen(listener.get(), 4), 0);
  auto sender = SyslogSender::open("tcp:127.0.0.1:" + std::to_string(port));
  ASSERT_TRUE(sender);
  constexpr int kMessages = 20;
  const std::string padding(4000, 'x');
  for (int i = 0; i < kMessages; ++i) (*sender)->add("<" + std::to_string(i) + ">" + padding);
  (*sender)->send(kStart);
  close(accept(listener.get(), nullptr, nullptr));
  (*sender)->send(kStart + std::chrono::minutes{1});
  const auto sent = (*sender)->sent();
  ASSERT_LT(sent, static_cast<std::uint64_t>(kMessages)) << "all of it cannot have been acknowledged";
  (*sender)->send(kStart + std::chrono::minutes{2});
  const UniqueFd peer(accept(listener.get(), nullptr, nullptr));
  std::string all;
  const auto last = "<" + std::to_string(kMessages - 1) + ">" + padding;
  for (std::string more = receive(peer.get()); !more.empty(); more = receive(peer.get())) {
    all += more;
    if (all.ends_with(last)) break;
  }
  for (auto i = sent; i < kMessages; ++i)
    EXPECT_NE(all.find("<" + std::to_string(i) + ">"), std::string::npos) << i;
  EXPECT_TRUE(sends(**sender, kMessages));
  EXPECT_EQ((*sender)->lost(), 0U);
}

// Reads some megabytes a second, until it is told to stop.
class SlowCollector {
 public:
  SlowCollector() : listener_(bound(SOCK_STREAM, port_)) {
    EXPECT_EQ(listen(listener_.get(), 1), 0);
    thread_ = std::thread([this] {
      const UniqueFd peer(accept(listener_.get(), nullptr, nullptr));
      std::vector<char> buffer(1U << 16);
      while (!stop_ && recv(peer.get(), buffer.data(), buffer.size(), 0) > 0)
        std::this_thread::sleep_for(std::chrono::milliseconds{20});
    });
  }
  ~SlowCollector() {
    stop_ = true;
    thread_.join();
  }
  [[nodiscard]] std::string target() const { return "tcp:127.0.0.1:" + std::to_string(port_); }

 private:
  std::uint16_t port_ = 0;
  UniqueFd listener_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

// After an outage: the queue is full, and it takes long to send it all.
TEST(SyslogSender, WhatIsAcknowledgedMakesRoomWhileTheRestIsSentAndTheEndDoesNotWaitForAll) {
  constexpr int kMessages = 15000;
  SlowCollector collector;
  auto sender = SyslogSender::open(collector.target(), kMessages);
  ASSERT_TRUE(sender);
  for (int i = 0; i < kMessages; ++i) (*sender)->add(std::string(4000, 'x'));
  (*sender)->start();
  for (int i = 0; i < 300 && (*sender)->sent() == 0; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds{10});
  EXPECT_GT((*sender)->sent(), 0U);
  (*sender)->add("new");
  EXPECT_EQ((*sender)->lost(), 0U);
  const auto began = boot_now();
  sender->reset();
  EXPECT_LT(boot_now() - began, SyslogSender::kLastSend + std::chrono::seconds{3});
}

TEST(SyslogSender, ALocalSocketIsServed) {
  const auto path = std::filesystem::temp_directory_path() / ("isthmus-log-" + std::to_string(getpid()));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  const UniqueFd collector(socket(AF_UNIX, SOCK_DGRAM, 0));
  ASSERT_EQ(bind(collector.get(), static_cast<sockaddr*>(static_cast<void*>(&address)), sizeof address), 0);
  auto sender = SyslogSender::open("unix:" + path.string());
  ASSERT_TRUE(sender);
  (*sender)->add("local");
  (*sender)->send(kStart);
  EXPECT_EQ(receive(collector.get()), "local");
  std::filesystem::remove(path);
}

TEST(SyslogSender, AFullQueueLosesTheNewestAndCountsIt) {
  auto sender = SyslogSender::open("unix:/nowhere/log", 2);
  ASSERT_TRUE(sender);
  for (int i = 0; i < 5; ++i) (*sender)->add("x");
  (*sender)->send(kStart);
  EXPECT_EQ((*sender)->sent(), 0U);
  EXPECT_EQ((*sender)->lost(), 3U);
}

}  // namespace
}  // namespace isthmus::nat64
