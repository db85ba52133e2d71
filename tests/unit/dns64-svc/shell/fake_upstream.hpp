// SPDX-License-Identifier: Apache-2.0
// An upstream on loopback, in the loop of the test.
#pragma once

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "common/net/big_endian.hpp"
#include "dns64-svc/core/wire/constants.hpp"
#include "dns64-svc/shell/event_loop.hpp"
#include "dns64-svc/shell/listen_socket.hpp"

namespace isthmus::dns64 {

// Answers every question with one A record, the root with REFUSED. To names that begin with 's' it is silent
// until it is told to speak.
class FakeUpstream final : public FdWatcher {
 public:
  explicit FakeUpstream(EventLoop& loop)
      : loop_(loop), fd_(open_udp(*SocketAddress::parse("127.0.0.1:0")).value()) {
    EXPECT_TRUE(loop_.watch(fd_.get(), EPOLLIN, *this));
  }
  ~FakeUpstream() { loop_.forget(fd_.get(), *this); }
  [[nodiscard]] std::uint16_t port() const {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    EXPECT_EQ(getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    return ntohs(address.sin_port);
  }
  // Answers what was asked in silence, and from now on everything.
  void speak() {
    is_silent_ = false;
    for (auto& question : std::exchange(unanswered_, {})) answer(question);
  }
  int questions = 0;         // of the root not counted
  bool refuses_root = true;  // else it knows its NS

 private:
  struct Question {
    std::array<std::uint8_t, 2048> bytes{};
    sockaddr_storage peer{};
    socklen_t peer_size = sizeof(sockaddr_storage);
  };
  void on_ready(std::uint32_t) override {
    Question question;
    auto& bytes = question.bytes;
    const auto got = recvfrom(fd_.get(), bytes.data(), bytes.size(), 0,
                              reinterpret_cast<sockaddr*>(&question.peer), &question.peer_size);
    if (got < 17) return;
    if (bytes[12] != 0) ++questions;
    if (bytes[13] == 's' && is_silent_)
      unanswered_.push_back(question);
    else
      answer(question);
  }
  void answer(Question& question) {
    auto& bytes = question.bytes;
    const bool root = bytes[12] == 0;
    std::size_t end = 12;
    while (bytes[end] != 0) end += bytes[end] + 1U;
    end += 5;
    store_be16(&bytes[2], root && refuses_root ? 0x8185 : 0x8180);
    store_be16(&bytes[6], root && refuses_root ? 0 : 1);
    store_be16(&bytes[8], 0);
    store_be16(&bytes[10], 0);
    if (!root) {
      append(bytes, end, {0xc0, 12, 0, rr::kA, 0, 1, 0, 0, 1, 0, 0, 4, 192, 0, 2, 1});
    } else if (!refuses_root) {
      append(bytes, end, {0xc0, 12, 0, rr::kNs, 0, 1, 0, 0, 1, 0, 0, 3, 1, 'a', 0});
    }
    EXPECT_EQ(sendto(fd_.get(), bytes.data(), end, 0, reinterpret_cast<sockaddr*>(&question.peer),
                     question.peer_size),
              static_cast<ssize_t>(end));
  }
  static void append(std::array<std::uint8_t, 2048>& bytes, std::size_t& end,
                     std::initializer_list<std::uint8_t> record) {
    std::copy(record.begin(), record.end(), &bytes[end]);
    end += record.size();
  }
  EventLoop& loop_;
  UniqueFd fd_;
  bool is_silent_ = true;
  std::vector<Question> unanswered_;
};

}  // namespace isthmus::dns64
