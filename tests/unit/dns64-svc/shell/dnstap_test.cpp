// SPDX-License-Identifier: Apache-2.0
#include "dns64-svc/shell/dnstap.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "common/base/unique_fd.hpp"

namespace isthmus::dns64 {
namespace {

class DnstapCollector : public testing::Test {
 protected:
  void TearDown() override { unlink(path_.c_str()); }
  // Connections are taken by the kernel; nobody reads from them.
  void listen_and_read_nothing() {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, sizeof address.sun_path - 1);
    listener_.reset(socket(AF_UNIX, SOCK_STREAM, 0));
    ASSERT_EQ(bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(listen(listener_.get(), 1), 0);
  }
  [[nodiscard]] std::unique_ptr<Dnstap> open() const {
    return Dnstap::open("unix:" + path_, "test", 1).value();
  }
  std::string path_ = "/tmp/isthmus-dnstap-" + std::to_string(getpid());
  UniqueFd listener_;
};

void tap(QueryTaps& taps, int requests) {
  const auto one = taps.tap_of(0);
  const ClientInfo client{.address = Ipv6Address::parse("2001:db8::5").value()};
  const std::uint8_t request[12] = {};
  for (int i = 0; i < requests; ++i) one->on_request(request, client);
}

TEST_F(DnstapCollector, WhatFindsNoCollectorIsLostAndCounted) {
  const auto dnstap = open();
  tap(*dnstap, 10);
  for (int i = 0; i < 500 && dnstap->lost() < 10; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds{10});
  EXPECT_EQ(dnstap->lost(), 10U);
}

TEST_F(DnstapCollector, OneThatReadsNothingDoesNotHoldUpTheEnd) {
  listen_and_read_nothing();
  auto dnstap = open();
  tap(*dnstap, 10);
  std::this_thread::sleep_for(std::chrono::milliseconds{200});  // its thread waits for an answer by now
  const auto before = boot_now();
  dnstap.reset();
  EXPECT_LT(boot_now() - before, std::chrono::seconds{3});
}

TEST(DnstapOpen, ATargetThatIsNoneIsASentence) {
  for (const auto* target : {"unix:relative", "tcp:nowhere", "file:/tmp/x"}) {
    const auto dnstap = Dnstap::open(target, "test", 1);
    ASSERT_FALSE(dnstap) << target;
    EXPECT_NE(dnstap.error().find("--dnstap"), std::string::npos);
  }
  EXPECT_FALSE(Dnstap::open("unix:/" + std::string(200, 'x'), "test", 1));
}

}  // namespace
}  // namespace isthmus::dns64
